import { FormatError } from '../../errors.ts';
import { type DType, dtypeBytes } from '../../tensor/dtype.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { checkedCount } from '../checked-count.ts';
import type { PickleHooks } from './pickle.ts';
import {
  describeValue,
  isNode,
  type PickleDict,
  type PickleValue,
  type StorageValue,
  type TensorValue,
} from './pickle-value.ts';
import { spanElements } from './strided.ts';
import { opaqueStorageWidth, storageDType, torchDType } from './torch-dtypes.ts';
import { namesCode } from './torch-names.ts';

type Args = readonly PickleValue[];

/** More than PyTorch's own kernels take; keeps a pickle from repeating long shapes. */
const maxDims = 32;

/** What the functions and classes in a torch.save pickle stand for; all others become objects without content. */
const meanings: ReadonlyMap<string, (args: Args) => PickleValue> = new Map<
  string,
  (args: Args) => PickleValue
>([
  ['torch._utils._rebuild_tensor', ([storage, ...view]) => tensorView(storage, view)],
  ['torch._utils._rebuild_tensor_v2', ([storage, ...view]) => tensorView(storage, view)],
  ['torch._utils._rebuild_tensor_v3', ([storage, ...view]) => tensorView(storage, view, view[5])],
  ['torch._utils._rebuild_parameter', firstArgument],
  ['torch._utils._rebuild_parameter_with_state', firstArgument],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.nn.parameter.Parameter', firstArgument],
  ['torch.Size', sharedItems],
  ['collections.OrderedDict', dictOf],
  ['collections.defaultdict', () => dictOf([])],
  ['collections.Counter', dictOf],
  ['builtins.dict', dictOf],
  ['__builtin__.dict', dictOf],
  ['builtins.set', sharedItems],
  ['__builtin__.set', sharedItems],
]);

/** The persistent id of a storage: ('storage', class, key, location, elements[, view]). */
export type StorageLoader = (id: StorageId) => StorageValue;

export interface StorageId {
  readonly className: string;
  readonly dtype: DType | undefined;
  readonly key: string;
  readonly byteLength: number;
  /** Bytes per element. */
  readonly width: number;
  /** Legacy only: (key, first element, elements) of a storage that is part of this one. */
  readonly view: PickleValue;
}

/** The meaning of a pickle that torch.save wrote; `load` finds the storages. Executes nothing. */
export function torchHooks(load: StorageLoader): PickleHooks {
  return {
    global: (name) => {
      if (!namesCode(name)) return { kind: 'global', name };
      throw new FormatError(
        `the pickle names ${name}, which is code and not data. Nothing was executed; do not open this file with programs that would.`,
        { global: name },
      );
    },
    call: callMeaning,
    persistent: (id) => load(storageId(id)),
  };
}

function callMeaning(callee: PickleValue, args: Args): PickleValue {
  const name = isNode(callee) && callee.kind === 'global' ? callee.name : undefined;
  const meaning = name === undefined ? undefined : meanings.get(name);
  if (meaning) return meaning(args);
  const className = name ?? (isNode(callee) && callee.kind === 'object' ? callee.className : undefined);
  if (className === undefined) throw new FormatError(`the pickle calls ${describeValue(callee)}.`);
  return { kind: 'object', className };
}

function storageId(id: PickleValue): StorageId {
  const items = isNode(id) && id.kind === 'tuple' ? id.items : [];
  const [tag, type, key, , numel, view = null] = items;
  const className = isNode(type) && type.kind === 'global' ? type.name : undefined;
  if (tag !== 'storage' || className === undefined || typeof key !== 'string') {
    throw new FormatError(`the pickle refers to ${describeValue(id)}, where a storage was expected.`);
  }
  const dtype = storageDType(className);
  const width = dtype ? dtypeBytes[dtype] : opaqueStorageWidth(className);
  if (width === undefined) {
    throw new FormatError(`storage "${key}" is of the unknown class ${className}.`, { className });
  }
  const count = typeof numel === 'number' ? checkedCount([numel]) : undefined;
  if (count === undefined) {
    throw new FormatError(`storage "${key}" cannot have ${describeValue(numel ?? null)} elements.`);
  }
  return { className, dtype, key, byteLength: count * width, width, view };
}

/** (storage, offset, size, stride, …) as a checked view; without a readable dtype an object. */
function tensorView(storage: PickleValue | undefined, view: Args, dtypeName?: PickleValue): PickleValue {
  if (!isNode(storage) || storage.kind !== 'storage') {
    throw new FormatError(
      `the pickle builds a tensor of ${describeValue(storage ?? null)}, not of a storage.`,
    );
  }
  const named = isNode(dtypeName) && dtypeName.kind === 'global' ? torchDType(dtypeName.name) : undefined;
  const dtype = dtypeName === undefined ? storage.dtype : named;
  const [offset, size, strides] = view;
  const shape = indices(size);
  const stride = indices(strides);
  const sound = shape && stride && shape.length === stride.length && shape.length <= maxDims;
  if (!sound || typeof offset !== 'number' || checkedCount([offset]) === undefined) {
    throw new FormatError(
      `the pickle builds a tensor of storage "${storage.key}" with size ${listed(size)}, stride ${listed(strides)} and offset ${listed(offset)}; these must be whole numbers, as many strides as dimensions.`,
    );
  }
  if (dtype === undefined) return { kind: 'object', className: `tensor of ${storage.className}` };
  const tensor: TensorValue = { kind: 'tensor', storage, dtype, shape, stride, offset };
  checkInside(tensor);
  return tensor;
}

function checkInside(tensor: TensorValue): void {
  const { shape, stride, offset, storage, dtype } = tensor;
  const count = checkedCount(shape);
  if (count === 0) return;
  const end = count === undefined ? Number.POSITIVE_INFINITY : offset + spanElements(tensor);
  if (end * dtypeBytes[dtype] <= storage.byteLength) return;
  throw new FormatError(
    `tensor ${formatShape(shape)} with stride ${formatShape(stride)} and offset ${offset} reaches element ${end}, but storage "${storage.key}" has ${Math.floor(storage.byteLength / dtypeBytes[dtype])}.`,
    { end, storage: storage.key },
  );
}

function indices(value: PickleValue | undefined): number[] | undefined {
  if (!isNode(value) || (value.kind !== 'tuple' && value.kind !== 'list')) return undefined;
  if (value.items.length > maxDims) return undefined;
  const numbers: number[] = [];
  for (const item of value.items) {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0) return undefined;
    numbers.push(item);
  }
  return numbers;
}

function listed(value: PickleValue | undefined): string {
  return indices(value)?.join('×') ?? describeValue(value ?? null);
}

function firstArgument([value]: Args): PickleValue {
  return value ?? null;
}

/** (function, type, args, state): a tensor subclass, read as the tensor it is made of. */
function rebuildFromType([callee, , args]: Args): PickleValue {
  if (callee === undefined || !isNode(args) || args.kind !== 'tuple') {
    throw new FormatError('the pickle rebuilds a tensor subclass without arguments.');
  }
  const isItself =
    isNode(callee) && callee.kind === 'global' && callee.name.endsWith('._rebuild_from_type_v2');
  if (isItself) throw new FormatError('the pickle rebuilds a tensor subclass within itself.');
  return callMeaning(callee, args.items);
}

/** A tuple or set of an iterable: shares the elements, so that repeated calls cannot multiply them. */
function sharedItems([value]: Args): PickleValue {
  const items = isNode(value) && (value.kind === 'list' || value.kind === 'tuple') ? value.items : [];
  return { kind: 'tuple', items };
}

/** An empty dict, one given as a dict, or Python 2's list of pairs. */
function dictOf([source]: Args): PickleValue {
  if (isNode(source) && source.kind === 'dict') return source;
  const dict: PickleDict = { kind: 'dict', entries: new Map() };
  if (!isNode(source) || source.kind !== 'list') return dict;
  // The pairs move: a list can be used once, so that repeated calls cannot multiply it.
  for (const pair of source.items.splice(0)) {
    const [key, value] = isNode(pair) && (pair.kind === 'list' || pair.kind === 'tuple') ? pair.items : [];
    if (key === undefined || value === undefined) {
      throw new FormatError('the pickle makes a dict of something that is no list of pairs.');
    }
    dict.entries.set(key, value);
  }
  return dict;
}
