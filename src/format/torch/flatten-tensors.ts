import { FormatError } from '../../errors.ts';
import { describeValue, isNode, type PickleValue, type TensorValue } from './pickle-value.ts';

/** Limits on what one file may spread out: shared parts make a small pickle name things exponentially often. */
const maxDepth = 32;
const maxVisits = 250_000;
const maxNameCharacters = 32 << 20;
const maxOthers = 1000;

export interface Flattened {
  readonly tensors: ReadonlyMap<string, TensorValue>;
  /** What is neither tensor nor container, described; the first thousand. */
  readonly others: ReadonlyMap<string, string>;
}

/**
 * The tensors of nested dicts, lists and tuples by dotted path (`encoder.0.weight`), in order; a bare tensor is
 * named `tensor`.
 * @throws FormatError when two have the same path, or the nesting passes all bounds
 */
export function flattenTensors(root: PickleValue): Flattened {
  const tensors = new Map<string, TensorValue>();
  const others = new Map<string, string>();
  const holdsOnlyPlain = memoizedPlainness();
  let visits = 0;
  let characters = 0;

  const visit = (value: PickleValue, path: string | undefined, depth: number): void => {
    visits += 1;
    characters += path?.length ?? 0;
    if (depth > maxDepth || visits > maxVisits || characters > maxNameCharacters) {
      throw new FormatError(
        `the pickle nests deeper than ${maxDepth} or spreads to more than ${maxVisits} values; this is no state dict.`,
      );
    }
    const children = holdsOnlyPlain(value) ? undefined : childrenOf(value);
    if (children) {
      for (const [key, child] of children) {
        visit(child, path === undefined ? String(key) : `${path}.${key}`, depth + 1);
      }
      return;
    }
    const name = path ?? 'tensor';
    if (isNode(value) && value.kind === 'tensor') {
      if (tensors.has(name)) throw new FormatError(`two tensors are named ${JSON.stringify(name)}.`);
      tensors.set(name, value);
    } else if (others.size < maxOthers) others.set(name, describeValue(value));
  };

  visit(root, undefined, 0);
  return { tensors, others };
}

/** Whether a list holds nothing but numbers and text, such as a history of losses: one thing, however long. */
function memoizedPlainness(): (value: PickleValue) => boolean {
  const known = new Map<PickleValue, boolean>();
  return (value) => {
    if (!isNode(value) || (value.kind !== 'list' && value.kind !== 'tuple')) return false;
    const plain = known.get(value) ?? !value.items.some(isNode);
    known.set(value, plain);
    return plain;
  };
}

function childrenOf(value: PickleValue): Iterable<readonly [string | number, PickleValue]> | undefined {
  if (!isNode(value)) return undefined;
  if (value.kind === 'list' || value.kind === 'tuple') return value.items.entries();
  return value.kind === 'dict' ? namedEntries(value.entries) : undefined;
}

function* namedEntries(entries: ReadonlyMap<PickleValue, PickleValue>) {
  for (const [key, value] of entries) yield [keyText(key), value] as const;
}

/** A dict key as part of a path. */
export function keyText(key: PickleValue): string {
  return typeof key === 'string' ? key : describeValue(key);
}
