/** Derivatives of activations on one vector register. */

import type { Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { ActivationName, OutputActivation } from '../../graph/activations.ts';
import { emitActivation } from './activation.ts';
import { zeroed } from './emit.ts';

/** dy ← dy·fn′(x); x may be spent. */
type Emit = (a: VectorAssembler, dy: Vec, x: Vec) => void;

/** Registers that derivatives by their value take, dy, x and what a target borrows included. */
export const OUTPUT_GRAD_VECTORS: Readonly<Record<OutputActivation, number>> = {
  relu: 4,
  shiftedRelu: 5,
  relu6: 5,
};

function withConstant(a: VectorAssembler, value: number, use: (constant: Vec) => void): void {
  const vec = a.newVec();
  if (value === 0) a.zero(vec);
  else a.constant(vec, value);
  use(vec);
  a.freeVec(vec);
}

/** dy where low < x < high, else 0. */
function between(a: VectorAssembler, dy: Vec, x: Vec, low: number, high: number): void {
  const zero = zeroed(a);
  if (low === 0) a.select('greater', dy, x, zero, dy, zero);
  else withConstant(a, low, (bound) => a.select('greater', dy, x, bound, dy, zero));
  if (Number.isFinite(high)) withConstant(a, high, (bound) => a.select('greater', dy, bound, x, dy, zero));
  a.freeVec(zero);
}

const rows: Readonly<Record<ActivationName, Emit>> = {
  relu: (a, dy, x) => between(a, dy, x, 0, Number.POSITIVE_INFINITY),
  shiftedRelu: (a, dy, x) => between(a, dy, x, -1, Number.POSITIVE_INFINITY),
  relu6: (a, dy, x) => between(a, dy, x, 0, 6),
  sigmoid: (a, dy, x) => {
    emitActivation(a, 'sigmoid', x);
    a.binary('multiply', dy, dy, x);
    withConstant(a, 1, (one) => a.binary('subtract', x, one, x));
    a.binary('multiply', dy, dy, x);
  },
  hardSigmoid: (a, dy, x) => {
    between(a, dy, x, -3, 3);
    withConstant(a, 1 / 6, (sixth) => a.binary('multiply', dy, dy, sixth));
  },
  hardSwish: (a, dy, x) => {
    // 0 up to −3, x/3 + 1/2 up to 3, then 1.
    const slope = a.newVec();
    const limit = a.newVec();
    a.constant(slope, 0.5);
    withConstant(a, 1 / 3, (third) => a.fma(slope, x, third));
    a.constant(limit, 3);
    withConstant(a, 1, (one) => a.select('greaterOrEqual', slope, x, limit, one, slope));
    a.constant(limit, -3);
    withConstant(a, 0, (zero) => a.select('greaterOrEqual', slope, limit, x, zero, slope));
    a.binary('multiply', dy, dy, slope);
    a.freeVec(slope, limit);
  },
  silu: (a, dy, x) => {
    // s·(1 + x·(1 − s))
    const s = a.newVec();
    const rest = a.newVec();
    a.move(s, x);
    emitActivation(a, 'sigmoid', s);
    a.constant(rest, 1);
    a.binary('subtract', rest, rest, s);
    a.binary('multiply', x, x, rest);
    a.constant(rest, 1);
    a.binary('add', x, x, rest);
    a.binary('multiply', s, s, x);
    a.binary('multiply', dy, dy, s);
    a.freeVec(s, rest);
  },
};

/**
 * dy ← dy·fn′(x); x is spent. For functions whose derivative follows from their value, x may be that value: it lies
 * between the same kinks.
 */
export function emitActivationGrad(a: VectorAssembler, fn: ActivationName, dy: Vec, x: Vec): void {
  rows[fn](a, dy, x);
}
