/** Copies of numbers between layouts that differ in the order of their axes: weights, which are small. */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type KernelSpec, type Tile } from '../plan/plan.ts';
import { spans } from '../plan/split-work.ts';
import { countBySlot } from '../vector/emit.ts';
import { overRow, partAt } from '../vector/vector-span.ts';

/** How many numbers there are along an axis, and how far apart they lie in both layouts (in numbers). */
export interface CopyAxis {
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** Outermost first. */
export type CopyAxes = readonly [CopyAxis, CopyAxis, CopyAxis];

const SLOT = { from: 1, to: 2, count: 3 } as const;
/** Numbers that are moved without a loop. */
const UNROLL = 16;

/** Numbers `axis.count` from one pointer to another; both end where they began. */
export function emitStridedCopy(a: VectorAssembler, axis: CopyAxis, from: Int, to: Int): void {
  if (axis.from === 1 && axis.to === 1) {
    overRow(a, axis.count, 4, [from, to], (parts) => {
      for (const part of parts) {
        const x = a.newVec();
        a.load(x, partAt(from, part), part.lanes);
        a.store(partAt(to, part), x, part.lanes);
        a.freeVec(x);
      }
    });
    return;
  }
  const x = a.newVec();
  const turns = axis.count > UNROLL ? Math.floor(axis.count / UNROLL) : 0;
  a.loop(turns, () => {
    emitMoves(a, axis, UNROLL, from, to, x);
    a.addInt(from, UNROLL * axis.from * 4);
    a.addInt(to, UNROLL * axis.to * 4);
  });
  emitMoves(a, axis, axis.count - turns * UNROLL, from, to, x);
  if (turns > 0) {
    a.subtractInt(from, turns * UNROLL * axis.from * 4);
    a.subtractInt(to, turns * UNROLL * axis.to * 4);
  }
  a.freeVec(x);
}

function emitMoves(a: VectorAssembler, axis: CopyAxis, count: number, from: Int, to: Int, x: Vec): void {
  for (let i = 0; i < count; i++) {
    a.load(x, at(from, i * axis.from * 4), 1);
    a.store(at(to, i * axis.to * 4), x, 1);
  }
}

function copyKernel([outer, middle, inner]: CopyAxes): KernelSpec {
  const name = [outer, middle, inner].map(({ count, from, to }) => `${count}:${from}-${to}`);
  return {
    name: `f32_copy_${outer.from}-${outer.to}_${name.slice(1).join('_')}`,
    generate: (a) => {
      const from = a.slot(SLOT.from);
      const to = a.slot(SLOT.to);
      countBySlot(a, SLOT.count, () => {
        a.loop(middle.count, () => {
          emitStridedCopy(a, inner, from, to);
          a.addInt(from, middle.from * 4);
          a.addInt(to, middle.to * 4);
        });
        a.addInt(from, (outer.from - middle.count * middle.from) * 4);
        a.addInt(to, (outer.to - middle.count * middle.to) * 4);
      });
      a.freeInt(from, to);
    },
  };
}

/** Numbers that a tile copies. */
const NUMBERS_A_TILE = 2 ** 16;

/** Tiles of a copy, cut along the outermost axis. */
export function copyTiles(axes: CopyAxes, from: BufferPlace, to: BufferPlace): readonly Tile[] {
  const [outer, middle, inner] = axes;
  const kernel = copyKernel(axes);
  const parts = Math.ceil((outer.count * middle.count * inner.count) / NUMBERS_A_TILE);
  return spans(outer.count, parts).map(({ first, end }) => ({
    kernel,
    slots: [further(from, first * outer.from * 4), further(to, first * outer.to * 4), end - first],
  }));
}
