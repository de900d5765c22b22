import type { Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';

/** Runs the body as often as a slot of the tile record says; none when it is 0. */
export function countBySlot(a: VectorAssembler, slot: number, body: () => void): void {
  const left = a.slot(slot);
  a.whileNonZero(left, () => {
    body();
    a.subtractInt(left, 1);
  });
  a.freeInt(left);
}

/** A fresh register of zeros. */
export function zeroed(a: VectorAssembler): Vec {
  const vec = a.newVec();
  a.zero(vec);
  return vec;
}
