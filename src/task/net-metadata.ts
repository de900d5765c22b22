import { FormatError } from '../errors.ts';
import { type EvalTransform, parseEvalTransform, serializeEvalTransform } from '../image/eval-transform.ts';
import { parseTaskHead, type TaskHead } from './task-head.ts';

/** What a checkpoint of ours says about itself, beside its tensors. */
export interface NetMetadata {
  /** Such as `mobileone-s0`, or what the user called it. */
  readonly name?: string;
  /** Class names by index. */
  readonly labels?: readonly string[];
  readonly transform?: EvalTransform;
  /** What the data that was learned from calls its classes, where results are to say it: COCO's ids. */
  readonly categoryIds?: readonly (number | string)[];
  /** The head of a net that detects or segments; absent: it classifies. */
  readonly head?: TaskHead;
}

/** Keys in safetensors `__metadata__` and in ONNX `metadata_props`; every value is text. */
const keys = {
  name: 'mobileone.name',
  labels: 'mobileone.labels',
  transform: 'mobileone.transform',
  head: 'mobileone.task',
  categoryIds: 'mobileone.categories',
} as const;

/** Names of tensors that only training needs begin with it; everyone else leaves them alone. */
export const trainingPrefix = 'training.';

/** Whether a key beside the tensors is one of those read here. */
export function isNetMetadata(key: string): boolean {
  return Object.values(keys).some((known) => known === key);
}

export function writeNetMetadata(metadata: NetMetadata): Readonly<Record<string, string>> {
  return {
    ...(metadata.name === undefined ? {} : { [keys.name]: metadata.name }),
    ...(metadata.labels === undefined ? {} : { [keys.labels]: JSON.stringify(metadata.labels) }),
    ...(metadata.transform === undefined
      ? {}
      : { [keys.transform]: serializeEvalTransform(metadata.transform) }),
    ...(metadata.categoryIds === undefined
      ? {}
      : { [keys.categoryIds]: JSON.stringify(metadata.categoryIds) }),
    ...(metadata.head === undefined ? {} : { [keys.head]: JSON.stringify(metadata.head) }),
  };
}

/** @throws FormatError or ImageError when a value of ours is not what it must be; other keys are left alone */
export function readNetMetadata(stored: Readonly<Record<string, string>>, where: string): NetMetadata {
  const at = (key: string): string | undefined => (Object.hasOwn(stored, key) ? stored[key] : undefined);
  const [name, labels, transform, head] = [at(keys.name), at(keys.labels), at(keys.transform), at(keys.head)];
  const ids = at(keys.categoryIds);
  return {
    ...(ids === undefined ? {} : { categoryIds: parseIds(ids, where) }),
    ...(name === undefined ? {} : { name }),
    ...(labels === undefined ? {} : { labels: parseLabels(labels, where) }),
    ...(transform === undefined
      ? {}
      : { transform: parseEvalTransform(transform, `${where}: ${keys.transform}`) }),
    ...(head === undefined ? {} : { head: parseTaskHead(head, `${where}: ${keys.head}`) }),
  };
}

const isName = (value: unknown): value is string => typeof value === 'string';
const isId = (value: unknown): value is number | string => isName(value) || Number.isSafeInteger(value);

const parseLabels = (text: string, where: string): readonly string[] =>
  parseList(text, isName, `${where}: ${keys.labels} must be a JSON list of class names`);

const parseIds = (text: string, where: string): readonly (number | string)[] =>
  parseList(text, isId, `${where}: ${keys.categoryIds} must be a JSON list of whole numbers or names`);

function parseList<T>(text: string, isItem: (value: unknown) => value is T, expected: string): readonly T[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.every(isItem)) return value;
  throw new FormatError(`${expected}, found ${JSON.stringify(text.slice(0, 40))}.`);
}
