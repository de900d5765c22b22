/** Copies rows of numbers as bf16, with zeros before and after each row where wanted. */
import {
  type Address,
  at,
  type Int,
  type Vec,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import type { BufferPlace, KernelSpec, Tile } from '../../plan/plan.ts';
import { countBySlot, zeroed } from '../../vector/emit.ts';
import { loadAs, type StorageType, storageBytes } from '../../vector/storage.ts';

export interface ConvertSpec {
  readonly from: StorageType;
  /** Copies what rounding to bf16 takes away, not the rounded numbers. */
  readonly remainder: boolean;
  /** Numbers in a row: zeros, those copied, zeros. */
  readonly before: number;
  readonly copied: number;
  readonly after: number;
}

const SLOT = { source: 1, output: 2, rows: 3 } as const;
const BF16_BYTES = storageBytes('bf16');

function convertKernel(spec: ConvertSpec): KernelSpec {
  return {
    name: `${spec.from}_to_bf16${spec.remainder ? '_remainder' : ''}_${spec.before}+${spec.copied}+${spec.after}`,
    generate: (a) => generate(a, spec),
  };
}

/** Rows lie without gaps on both sides. */
export function convertTile(spec: ConvertSpec, source: BufferPlace, output: BufferPlace, rows: number): Tile {
  return { kernel: convertKernel(spec), slots: [source, output, rows] };
}

function generate(a: VectorAssembler, spec: ConvertSpec): void {
  const [source, output] = [a.slot(SLOT.source), a.slot(SLOT.output)];
  countBySlot(a, SLOT.rows, () => {
    emitZeros(a, output, spec.before);
    emitCopy(a, spec, source, output);
    emitZeros(a, output, spec.after);
  });
  a.freeInt(source, output);
}

function emitZeros(a: VectorAssembler, output: Int, count: number): void {
  if (count === 0) return;
  const zero = zeroed(a);
  const whole = Math.floor(count / a.lanes);
  const rest = count - whole * a.lanes;
  a.loop(whole, () => {
    a.storeBf16(at(output), zero);
    a.addInt(output, a.lanes * BF16_BYTES);
  });
  if (rest > 0) a.storeBf16(at(output), zero, rest);
  a.addInt(output, rest * BF16_BYTES);
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
  { from, remainder }: ConvertSpec,
  source: Int,
  output: Int,
  count: number,
): void {
  const [low, high] = [a.newVec(), a.newVec()];
  const { lanes } = a;
  for (let i = 0; i < count; i += 2 * lanes) {
    const parts = [low, high].flatMap((vec, half) => {
      const first = i + half * lanes;
      const numbers = Math.min(lanes, count - first);
      if (numbers <= 0) return [];
      const place = at(output, first * BF16_BYTES);
      loadAs(a, from, vec, at(source, first * storageBytes(from)), numbers);
      if (remainder) emitRemainder(a, vec, place, numbers);
      return [{ vec, place, numbers }];
    });
    if (count - i >= 2 * lanes) a.storeBf16Pair(at(output, i * BF16_BYTES), low, high);
    else for (const { vec, place, numbers } of parts) a.storeBf16(place, vec, numbers);
  }
  a.addInt(source, count * storageBytes(from));
  a.addInt(output, count * BF16_BYTES);
  a.freeVec(low, high);
}

/** x ← x − bf16(x), by way of the place where x will be stored. */
function emitRemainder(a: VectorAssembler, x: Vec, place: Address, count: number): void {
  const rounded = a.newVec();
  a.storeBf16(place, x, count);
  a.loadBf16(rounded, place, count);
  a.binary('subtract', x, x, rounded);
  a.freeVec(rounded);
}
