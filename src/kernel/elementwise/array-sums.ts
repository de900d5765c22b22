/**
 * One number from many: tiles add up a function of the elements of their share, each into a number of its own, and
 * a later step adds those up, always in the same order.
 */
import {
  at,
  atIndex,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { BufferName, KernelSpec, Tile } from '../plan/plan.ts';
import { countBySlot, zeroed } from '../vector/emit.ts';
import { overRow, type Part, partAt, partsOf } from '../vector/vector-span.ts';

export interface ArraySum {
  /** Says everything that `emit` depends on. */
  readonly name: string;
  readonly count: number;
  readonly inputs: readonly BufferName[];
  /** Leaves what is to be added in the first input's register; must turn zeros into 0 or have a mask. */
  readonly emit: (a: VectorAssembler, values: readonly Vec[]) => void;
  /** A constant with ones for the lanes of the last, partial vector and zeros beyond (`laneMask`). */
  readonly mask?: BufferName;
}

/** f32 of each input in a tile, more where there were too many tiles otherwise. */
const TILE_ELEMENTS = 16384;
const MOST_TILES = 256;
const VECTORS = 4;

function tileElements(count: number): number {
  return Math.max(TILE_ELEMENTS, Math.ceil(count / MOST_TILES / 64) * 64);
}

/** How many numbers the tiles of a sum write. */
export function partialCount(count: number): number {
  return Math.ceil(count / tileElements(count));
}

/** @param offset where in scratch memory the first tile's number goes, the others behind it */
export function arraySumTiles(target: VectorTarget, sum: ArraySum, offset: number): readonly Tile[] {
  const group = VECTORS * target.lanes;
  const size = tileElements(sum.count);
  return Array.from({ length: partialCount(sum.count) }, (_, i): Tile => {
    const count = Math.min(size, sum.count - i * size);
    return {
      kernel: sumKernel(target, sum, count % group),
      slots: [
        Math.floor(count / group),
        { buffer: 'scratch', offset: offset + i * 4 },
        ...(sum.mask ? [{ buffer: sum.mask, offset: 0 }] : []),
        ...sum.inputs.map((buffer) => ({ buffer, offset: i * size * 4 })),
      ],
    };
  });
}

/** Ones in the lanes that the last vector of `count` numbers has, zeros beyond. */
export function laneMask(target: VectorTarget, count: number): Uint8Array {
  const mask = new Float32Array(16);
  mask.fill(1, 0, count % target.lanes || target.lanes);
  return new Uint8Array(mask.buffer);
}

function sumKernel(target: VectorTarget, sum: ArraySum, rest: number): KernelSpec {
  return {
    name: `f32_sumOf_${sum.name}_${rest}${sum.mask ? '_masked' : ''}__${target.name}`,
    generate: (a) => {
      const output = a.slot(2);
      const mask = sum.mask ? a.slot(3) : undefined;
      const inputs = sum.inputs.map((_, i) => a.slot((mask ? 4 : 3) + i));
      const totals = Array.from({ length: VECTORS }, () => zeroed(a));
      const element = a.int(0);
      const add = (part: Part, total: Vec): void => {
        const values = inputs.map((input) => {
          const value = a.newVec();
          a.load(value, atIndex(input, element, 1, part.offset), part.lanes);
          return value;
        });
        sum.emit(a, values);
        const [value] = values;
        if (value !== undefined) {
          if (mask && part.lanes < a.lanes) a.binary('multiply', value, value, at(mask));
          a.binary('add', total, total, value);
        }
        a.freeVec(...values);
      };
      const addAll = (parts: readonly Part[]): void =>
        parts.forEach((part, i) => {
          const total = totals[i];
          if (total !== undefined) add(part, total);
        });
      countBySlot(a, 1, () => {
        addAll(partsOf(VECTORS * a.lanes, a.lanes));
        a.addInt(element, VECTORS * a.lanes * 4);
      });
      if (rest > 0) addAll(partsOf(rest, a.lanes));
      const [first, ...others] = totals;
      if (first === undefined) return;
      for (const other of others) a.binary('add', first, first, other);
      a.reduceLanes('add', first, first);
      a.store(at(output), first, 1);
      a.freeVec(...totals);
      a.freeInt(output, element, ...inputs, ...(mask ? [mask] : []));
    },
  };
}

/** A fresh register with the sum of `count` numbers at the pointer in every lane. */
export function emitArraySum(a: VectorAssembler, pointer: Int, count: number): Vec {
  const [sum, value] = [zeroed(a), a.newVec()];
  overRow(a, count, 1, [pointer], (parts) => {
    for (const part of parts) {
      a.load(value, partAt(pointer, part), part.lanes);
      a.binary('add', sum, sum, value);
    }
  });
  a.reduceLanes('add', sum, sum);
  a.freeVec(value);
  return sum;
}
