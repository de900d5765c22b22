import {
  at,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
} from '../../assembler/vector-assembler.ts';

/**
 * sums[r][v] += number r · columns[v], where numbers lie `stride` bytes apart and are given to all lanes. One that
 * several columns use is worth a register of its own.
 */
export function addOuterProduct(
  a: VectorAssembler,
  sums: readonly (readonly Vec[])[],
  columns: readonly Vec[],
  from: Int,
  offset: number,
  stride: number,
): void {
  const inOperand = a.has('embeddedBroadcast') && columns.length === 1;
  sums.forEach((row, r) => {
    const x = inOperand ? undefined : a.newVec();
    if (x !== undefined) a.broadcast(x, at(from, offset + r * stride));
    row.forEach((sum, v) => {
      a.fma(sum, columns[v] ?? sum, x ?? broadcastAt(from, offset + r * stride));
    });
    if (x !== undefined) a.freeVec(x);
  });
}
