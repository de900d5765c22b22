/** Adds up the parts of a product that were summed apart, always in the same order. */
import { at, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Tile } from '../plan/plan.ts';
import { spans } from '../plan/split-work.ts';
import { countBySlot } from '../vector/emit.ts';
import { overRow } from '../vector/vector-span.ts';

const SLOT = { parts: 1, c: 2, rows: 3 } as const;

export interface SumTask {
  readonly m: number;
  readonly n: number;
  /** Matrices [m, n] in `scratch`, from so many bytes on, rows padded to whole vectors. */
  readonly parts: number;
  readonly offset: number;
  readonly partRow: number;
  /** Bytes from one matrix to the next. */
  readonly between: number;
  readonly cRow: number;
  readonly accumulate: boolean;
}

function sumKernel(task: SumTask): KernelSpec {
  const { n, parts, partRow, between, cRow, accumulate } = task;
  return {
    name: `f32_sum${parts}${accumulate ? '_accumulate' : ''}_${n}_s${partRow},${between},${cRow}`,
    generate: (a) => emitSum(a, task),
  };
}

function emitSum(a: VectorAssembler, { n, parts, partRow, between, cRow, accumulate }: SumTask): void {
  const from = a.slot(SLOT.parts);
  const c = a.slot(SLOT.c);
  const part = a.newInt();
  countBySlot(a, SLOT.rows, () => {
    overRow(a, n, 2, [from, c], (vectors) => {
      const sums = vectors.map((v) => ({ ...v, sum: a.newVec() }));
      for (const { offset, lanes, sum } of sums) {
        if (accumulate) a.load(sum, at(c, offset), lanes);
        else a.zero(sum);
      }
      a.moveInt(part, from);
      a.loop(parts, () => {
        // Rows of the parts are whole vectors.
        for (const { offset, sum } of sums) a.binary('add', sum, sum, at(part, offset));
        a.addInt(part, between);
      });
      for (const { offset, lanes, sum } of sums) {
        a.store(at(c, offset), sum, lanes);
        a.freeVec(sum);
      }
    });
    a.addInt(from, partRow);
    a.addInt(c, cRow);
  });
  a.freeInt(from, c, part);
}

/** @param most how many tiles at most */
export function sumTiles(task: SumTask, most: number): readonly Tile[] {
  const kernel = sumKernel(task);
  return spans(task.m, most).map(
    ({ first, end }): Tile => ({
      kernel,
      slots: [
        { buffer: 'scratch', offset: task.offset + first * task.partRow },
        { buffer: 'output', offset: first * task.cRow },
        end - first,
      ],
    }),
  );
}
