/**
 * Activations on one vector register. NaN stays NaN: where a maximum or minimum could lose it, the value stands
 * on the right, which is the side that `maximum` and `minimum` return then.
 */
import type { Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../graph/activations.ts';

type Emit = (a: VectorAssembler, x: Vec) => void;

/** Vectors that must be free for any row below, what a target borrows within an instruction included. */
export const ACTIVATION_SCRATCH = 4;

function withVecs(a: VectorAssembler, count: number, use: (...vecs: Vec[]) => void): void {
  const vecs = Array.from({ length: count }, () => a.newVec());
  use(...vecs);
  a.freeVec(...vecs);
}

function atLeast(a: VectorAssembler, x: Vec, bound: number, scratch: Vec): void {
  a.constant(scratch, bound);
  a.binary('maximum', x, scratch, x);
}

function atMost(a: VectorAssembler, x: Vec, bound: number, scratch: Vec): void {
  a.constant(scratch, bound);
  a.binary('minimum', x, scratch, x);
}

/** exp(r) on |r| ≤ ln 2 / 2 to 1 ulp, highest power first; the fit is that of Cephes' expf. */
const expTaylor = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1,
];
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/** x ← exp(x), clamped to 2⁻¹²⁶ … 2¹²⁷: exp(x) = 2ⁿ·exp(x − n·ln 2) with n = round(x / ln 2). */
export function emitExp(a: VectorAssembler, x: Vec): void {
  const n = a.newVec();
  let sum = a.newVec();
  let next = a.newVec();
  atLeast(a, x, -87.33, next);
  atMost(a, x, 88.02, next);
  a.constant(next, Math.LOG2E);
  a.binary('multiply', n, x, next);
  a.unary('round', n, n);
  a.constant(next, -LN2_HIGH);
  a.fma(x, n, next);
  a.constant(next, -LN2_LOW);
  a.fma(x, n, next);
  const [first = 0, ...rest] = expTaylor;
  a.constant(sum, first);
  for (const coefficient of rest) {
    a.constant(next, coefficient);
    a.fma(next, sum, x);
    [sum, next] = [next, sum];
  }
  a.freeVec(next);
  a.scaleByPowerOfTwo(x, sum, n);
  a.freeVec(sum, n);
}

/** x ← numerator / (1 + exp(−x)), where the numerator is x itself or 1. */
function emitLogistic(a: VectorAssembler, x: Vec, numerator: 'x' | 'one'): void {
  const t = a.newVec();
  a.unary('negate', t, x);
  emitExp(a, t);
  const one = a.newVec();
  a.constant(one, 1);
  a.binary('add', t, t, one);
  a.binary('divide', x, numerator === 'x' ? x : one, t);
  a.freeVec(t, one);
}

/** target ← min(max(x/6 + 1/2, 0), 1) */
function emitHardSigmoid(a: VectorAssembler, target: Vec, x: Vec, scratch: Vec): void {
  a.constant(scratch, 1 / 6);
  a.binary('multiply', target, x, scratch);
  a.constant(scratch, 0.5);
  a.binary('add', target, target, scratch);
  atLeast(a, target, 0, scratch);
  atMost(a, target, 1, scratch);
}

/** Functions that are the larger of x and a constant. */
const lowerBounds: Readonly<
  Record<'relu' | 'shiftedRelu', number> & Partial<Record<ActivationName, number>>
> = {
  relu: 0,
  shiftedRelu: -1,
};

const rows: Readonly<Record<ActivationName, Emit>> = {
  relu: (a, x) => withVecs(a, 1, (s) => atLeast(a, x, lowerBounds.relu, s)),
  shiftedRelu: (a, x) => withVecs(a, 1, (s) => atLeast(a, x, lowerBounds.shiftedRelu, s)),
  relu6: (a, x) =>
    withVecs(a, 1, (s) => {
      atLeast(a, x, 0, s);
      atMost(a, x, 6, s);
    }),
  sigmoid: (a, x) => emitLogistic(a, x, 'one'),
  silu: (a, x) => emitLogistic(a, x, 'x'),
  hardSigmoid: (a, x) => withVecs(a, 1, (s) => emitHardSigmoid(a, x, x, s)),
  hardSwish: (a, x) =>
    withVecs(a, 2, (gate, s) => {
      emitHardSigmoid(a, gate, x, s);
      a.binary('multiply', x, x, gate);
    }),
};

/** x ← activation(x) */
export function emitActivation(a: VectorAssembler, name: ActivationName, x: Vec): void {
  rows[name](a, x);
}

/** The same on several vectors; what is a bound alone is loaded once. */
export function emitActivations(a: VectorAssembler, name: ActivationName, xs: readonly Vec[]): void {
  const bound = lowerBounds[name];
  if (bound === undefined) for (const x of xs) emitActivation(a, name, x);
  else
    withVecs(a, 1, (s) => {
      a.constant(s, bound);
      for (const x of xs) a.binary('maximum', x, s, x);
    });
}
