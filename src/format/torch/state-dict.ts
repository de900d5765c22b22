import { FormatError } from '../../errors.ts';
import type { CheckpointExtra } from '../checkpoint.ts';
import { flattenTensors, keyText } from './flatten-tensors.ts';
import {
  describeValue,
  isNode,
  type PickleDict,
  type PickleValue,
  type TensorValue,
} from './pickle-value.ts';

/**
 * Keys under which training programs keep the weights, best first. timm and torchvision keep the average of the
 * weights, which is the one to evaluate, beside them (`state_dict_ema`, `model_ema`). mmengine swaps the two: its
 * `state_dict` is the average and `ema_state_dict` the raw weights, so that comes last.
 */
const weightKeys = [
  'state_dict_ema',
  'model_ema',
  'state_dict',
  'model_state_dict',
  'model',
  'net',
  'params_ema',
  'params',
  'ema_state_dict',
  'ema',
] as const;

/** Wrappers put this before every name: DataParallel, and averages of a wrapped model. */
const wrapperPrefix = 'module.';
/** Step counters of averaged models: the only names such a dict has outside the wrapper. */
const wrapperCounters: ReadonlySet<string> = new Set(['n_averaged', 'steps']);

const maxNesting = 8;
const maxMetadata = 500;
const maxMetadataCharacters = 1 << 20;

export interface StateDict {
  readonly tensors: ReadonlyMap<string, TensorValue>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly extra: CheckpointExtra;
}

/**
 * Finds the weights in what a pickle holds: follows the first of `weightKeys` that leads to tensors, as often as
 * there is one, then names what lies there by dotted path and strips a `module.` that all names share.
 * @throws FormatError when the file holds a pickled model object, or nothing that could hold tensors
 */
export function findStateDict(root: PickleValue): StateDict {
  const others = new Map<string, string>();
  const metadata = new Map<string, string>();
  let current = root;
  let weightsAt = '';
  for (let depth = 0; depth < maxNesting && isNode(current) && current.kind === 'dict'; depth++) {
    const key = findWeightKey(current);
    if (key === undefined) break;
    for (const [name, value] of current.entries) {
      if (name === key) continue;
      const path = join(weightsAt, keyText(name));
      others.set(path, describeValue(value));
      collectMetadata(value, path, metadata);
    }
    weightsAt = join(weightsAt, key);
    current = current.entries.get(key) ?? null;
  }
  const found = flattenTensors(current);
  if (found.tensors.size === 0) checkMayBeEmpty(root, found.others);
  const { tensors, strippedPrefix } = stripWrapper(found.tensors, others);
  for (const [path, text] of found.others) others.set(join(weightsAt, path), text);
  if (isNode(current) && current.kind === 'dict') collectMetadata(current, weightsAt, metadata);
  return {
    tensors,
    metadata: Object.fromEntries(metadata),
    extra: { weightsAt, strippedPrefix, others },
  };
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function findWeightKey(dict: PickleDict): string | undefined {
  return weightKeys.find((key) => {
    const value = dict.entries.get(key);
    return isNode(value) && value.kind === 'dict' && flattenTensors(value).tensors.size > 0;
  });
}

function checkMayBeEmpty(root: PickleValue, others: ReadonlyMap<string, string>): void {
  const objects = [...others].filter(([, text]) => text.endsWith(' object'));
  const [first] = objects;
  if (first) {
    throw new FormatError(
      `the file holds no tensors that can be read, but a pickled ${first[1]} at "${first[0]}". Save model.state_dict() instead of the model: a pickled class cannot be read without running its code.`,
      { object: first[1] },
    );
  }
  if (isNode(root) && (root.kind === 'dict' || root.kind === 'list' || root.kind === 'tuple')) return;
  throw new FormatError(`the file holds ${describeValue(root)}, where a dict of tensors was expected.`);
}

function stripWrapper(tensors: ReadonlyMap<string, TensorValue>, others: Map<string, string>) {
  const names = [...tensors.keys()].filter((name) => !wrapperCounters.has(name));
  if (names.length === 0 || !names.every((name) => name.startsWith(wrapperPrefix))) {
    return { tensors, strippedPrefix: '' };
  }
  const stripped = new Map<string, TensorValue>();
  for (const [name, tensor] of tensors) {
    if (wrapperCounters.has(name)) others.set(name, describeValue(tensor));
    else stripped.set(name.slice(wrapperPrefix.length), tensor);
  }
  return { tensors: stripped, strippedPrefix: wrapperPrefix };
}

/** Plain values to a depth of 3; lists only when all they hold is text, as JSON. Large ones are left out. */
function collectMetadata(value: PickleValue, path: string, found: Map<string, string>, depth = 0): void {
  const text = plainText(value);
  if (text !== undefined) {
    if (found.size < maxMetadata && text.length <= maxMetadataCharacters / maxMetadata) found.set(path, text);
    return;
  }
  if (!isNode(value) || value.kind !== 'dict' || depth > 2 || value.entries.size > maxMetadata) return;
  for (const [key, child] of value.entries) {
    collectMetadata(child, join(path, keyText(key)), found, depth + 1);
  }
}

function plainText(value: PickleValue): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return String(value);
  }
  if (!isNode(value) || (value.kind !== 'list' && value.kind !== 'tuple')) return undefined;
  const isText = value.items.length > 0 && value.items.every((item) => typeof item === 'string');
  return isText ? JSON.stringify(value.items) : undefined;
}
