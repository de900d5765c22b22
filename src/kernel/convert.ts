/** Copies between storage types: rows of numbers, with zeros before and after each row where wanted. */
import { at, type Int, type VectorAssembler } from '../assembler/vector-assembler.ts';
import { countBySlot } from './emit.ts';
import type { BufferName, KernelSpec, Tile } from './plan.ts';
import { loadAs, type StorageType, storageBytes, storeAs } from './storage.ts';
import { shares } from './vector-span.ts';

export interface ConvertSpec {
  readonly from: StorageType;
  readonly to: StorageType;
  /** Numbers in a row: zeros, those copied, zeros. */
  readonly before: number;
  readonly copied: number;
  readonly after: number;
}

const SLOT = { source: 1, output: 2, rows: 3 } as const;

export function convertKernel(spec: ConvertSpec): KernelSpec {
  return {
    name: `${spec.from}_to_${spec.to}_${spec.before}+${spec.copied}+${spec.after}`,
    generate: (a) => generate(a, spec),
  };
}

/** A place in a buffer. */
export interface Place {
  readonly buffer: BufferName;
  readonly offset: number;
}

/** Rows lie without gaps on both sides. */
export function convertTile(spec: ConvertSpec, source: Place, output: Place, rows: number): Tile {
  return { kernel: convertKernel(spec), slots: [source, output, rows] };
}

const TILE_NUMBERS = 8192;

/** `count` numbers from one buffer to another. */
export function convertTiles(
  count: number,
  from: StorageType,
  source: Place,
  to: StorageType,
  output: Place,
): readonly Tile[] {
  return shares(Math.ceil(count / 32), TILE_NUMBERS / 32).map((share) => {
    const first = share.start * 32;
    const copied = Math.min(share.count * 32, count - first);
    return convertTile(
      { from, to, before: 0, copied, after: 0 },
      { ...source, offset: source.offset + first * storageBytes(from) },
      { ...output, offset: output.offset + first * storageBytes(to) },
      1,
    );
  });
}

function generate(a: VectorAssembler, spec: ConvertSpec): void {
  const [source, output] = [a.slot(SLOT.source), a.slot(SLOT.output)];
  countBySlot(a, SLOT.rows, () => {
    emitZeros(a, spec, output, spec.before);
    emitCopy(a, spec, source, output);
    emitZeros(a, spec, output, spec.after);
  });
  a.freeInt(source, output);
}

function emitZeros(a: VectorAssembler, { to }: ConvertSpec, output: Int, count: number): void {
  if (count === 0) return;
  const zero = a.newVec();
  a.zero(zero);
  const whole = Math.floor(count / a.lanes);
  const bytes = a.lanes * storageBytes(to);
  a.loop(whole, () => {
    storeAs(a, to, at(output), zero);
    a.addInt(output, bytes);
  });
  const rest = count - whole * a.lanes;
  if (rest > 0) storeAs(a, to, at(output), zero, rest);
  a.addInt(output, rest * storageBytes(to));
  a.freeVec(zero);
}

const UNROLL = 8;

function emitCopy(a: VectorAssembler, spec: ConvertSpec, source: Int, output: Int): void {
  const group = UNROLL * a.lanes;
  const groups = Math.floor(spec.copied / group);
  a.loop(groups, () => emitVectors(a, spec, source, output, group));
  const rest = spec.copied - groups * group;
  if (rest > 0) emitVectors(a, spec, source, output, rest);
}

function emitVectors(
  a: VectorAssembler,
  { from, to }: ConvertSpec,
  source: Int,
  output: Int,
  count: number,
): void {
  const [low, high] = [a.newVec(), a.newVec()];
  const { lanes } = a;
  for (let i = 0; i < count; i += 2 * lanes) {
    const [first, second] = [Math.min(lanes, count - i), Math.min(lanes, count - i - lanes)];
    const input = (j: number) => at(source, j * storageBytes(from));
    const result = (j: number) => at(output, j * storageBytes(to));
    loadAs(a, from, low, input(i), first);
    if (second > 0) loadAs(a, from, high, input(i + lanes), second);
    if (to === 'bf16' && second === lanes) {
      a.storeBf16Pair(result(i), low, high);
      continue;
    }
    storeAs(a, to, result(i), low, first);
    if (second > 0) storeAs(a, to, result(i + lanes), high, second);
  }
  a.addInt(source, count * storageBytes(from));
  a.addInt(output, count * storageBytes(to));
  a.freeVec(low, high);
}
