import type { Int, Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';
import { overRow, partAt } from './vector-span.ts';

/** @param unroll vectors a turn takes @returns Σ left·right of two rows, in every lane */
export function rowDot(a: VectorAssembler, length: number, unroll: number, left: Int, right: Int): Vec {
  const [sum, x, y] = [a.newVec(), a.newVec(), a.newVec()];
  a.zero(sum);
  overRow(a, length, unroll, [left, right], (parts) => {
    for (const part of parts) {
      a.load(x, partAt(left, part), part.lanes);
      a.load(y, partAt(right, part), part.lanes);
      a.fma(sum, x, y);
    }
  });
  a.reduceLanes('add', sum, sum);
  a.freeVec(x, y);
  return sum;
}
