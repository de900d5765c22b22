/**
 * A product that is known to be symmetric, [length, length]: each panel of columns is computed down to the diagonal,
 * and what lies below it is copied.
 */
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { stepsSideBySide } from '../plan/join-plans.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type Tile, type TileStep } from '../plan/plan.ts';
import { partSteps, type ScratchLayout } from '../plan/scratch-layout.ts';
import { type Span, spans } from '../plan/split-work.ts';
import { planGemm } from '../product/gemm.ts';
import type { RoundedGemm } from '../product/gemm-task.ts';
import { turnTile } from './turn.ts';

/** Columns of a panel, about: narrower ones save more of what lies below the diagonal, and cost more each. */
const PANEL = 64;

export interface SymmetricProduct {
  readonly length: number;
  /** Numbers that are summed. */
  readonly steps: number;
  readonly accumulate: boolean;
  /** All of the product is computed, with factors rounded so: fast enough to need no symmetry. */
  readonly rounded?: RoundedGemm | undefined;
  /** [steps, length] both, and numbers from one row to the next. */
  readonly a: BufferPlace;
  readonly aRow: number;
  readonly b: BufferPlace;
  readonly bRow: number;
  /** [length, length] */
  readonly to: BufferPlace;
}

function panels(length: number): readonly Span[] {
  return spans(length, Math.max(1, Math.floor(length / PANEL)));
}

/** to = aᵀ·b, or to += aᵀ·b, on and above the diagonal at least. */
export function upperProduct(
  target: VectorTarget,
  { length, steps, accumulate, rounded, a, aRow, b, bRow, to }: SymmetricProduct,
  scratch: ScratchLayout,
): readonly TileStep[] {
  return stepsSideBySide(
    (rounded ? [{ first: 0, end: length }] : panels(length)).map(({ first, end }) => {
      const plan = planGemm(target, {
        m: end,
        n: end - first,
        k: steps,
        transposeA: true,
        transposeB: false,
        accumulate,
        rounded,
        leading: { a: aRow, b: bRow, c: length },
      });
      return partSteps(
        plan,
        { input0: a, input1: further(b, first * 4), output: further(to, first * 4) },
        scratch,
      );
    }),
  );
}

/** What lies below the diagonal, from what lies above. */
export function mirrorTiles(length: number, matrix: BufferPlace): readonly Tile[] {
  const all = panels(length);
  return all.flatMap((column, i) =>
    all.slice(0, i).map((row) =>
      turnTile({
        rows: row.end - row.first,
        columns: column.end - column.first,
        from: further(matrix, (row.first * length + column.first) * 4),
        fromRow: length,
        to: further(matrix, (column.first * length + row.first) * 4),
        toRow: length,
      }),
    ),
  );
}
