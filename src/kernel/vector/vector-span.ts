import type { Address, Int, VectorAssembler } from '../../assembler/vector-assembler.ts';
import { at } from '../../assembler/vector-assembler.ts';
import { type StorageType, storageBytes } from './storage.ts';

/** Where one vector of a row lies: bytes of f32 from the row's pointer, and how many lanes of it are meant. */
export interface Part {
  readonly offset: number;
  readonly lanes: number;
}

/** A row of `count` f32 as vectors side by side; the last may be partial. */
export function partsOf(count: number, lanes: number): readonly Part[] {
  return Array.from({ length: Math.ceil(count / lanes) }, (_, i) => ({
    offset: i * lanes * 4,
    lanes: Math.min(lanes, count - i * lanes),
  }));
}

export function partAt(pointer: Int, part: Part, type: StorageType = 'f32'): Address {
  return at(pointer, (part.offset / 4) * storageBytes(type));
}

/**
 * Walks a row of `count` numbers in groups of `unroll` vectors: an emitted loop over whole groups, which moves the
 * pointers along, then what is left. The pointers end where they began.
 */
export function overRow(
  a: VectorAssembler,
  count: number,
  unroll: number,
  pointers: readonly Int[],
  body: (parts: readonly Part[]) => void,
  typeOf: (pointer: Int) => StorageType = () => 'f32',
): void {
  const group = unroll * a.lanes;
  const groups = Math.floor(count / group);
  const whole = partsOf(group, a.lanes);
  const move = (numbers: number): void => {
    for (const pointer of pointers) a.addInt(pointer, numbers * storageBytes(typeOf(pointer)));
  };
  a.loop(groups, () => {
    body(whole);
    move(group);
  });
  const rest = count - groups * group;
  if (rest > 0) body(partsOf(rest, a.lanes));
  if (groups > 0) move(-groups * group);
}

/** How many vectors, 8 at most, each turn of `overRow` takes so that the last is not much narrower than the others. */
export function evenUnroll(count: number, lanes: number, most: number): number {
  const vectors = Math.ceil(count / lanes);
  return Math.ceil(vectors / Math.ceil(vectors / Math.min(most, 8)));
}

/** Equal shares of `total`, none larger than `most`: what each tile of a row of work gets. */
export function shares(
  total: number,
  most: number,
): readonly { readonly start: number; readonly count: number }[] {
  const parts = Math.max(1, Math.ceil(total / Math.max(1, most)));
  const size = Math.ceil(total / parts);
  const result: { start: number; count: number }[] = [];
  for (let start = 0; start < total; start += size)
    result.push({ start, count: Math.min(size, total - start) });
  return result;
}
