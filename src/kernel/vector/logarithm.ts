/** Logarithms of numbers from 1 on, on one vector register. */
import type { Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';

/** log((1 + t)/(1 − t)) = 2t·Σ t²ᵏ/(2k + 1); with t ≤ 1/3 eight terms are exact to f32. */
const TERMS = 8;

/** x ← log(1 + x) for 0 ≤ x ≤ 1, to a few units in the last place also where x is small. */
export function emitLog1p(a: VectorAssembler, x: Vec): void {
  const square = a.newVec();
  let [sum, term] = [a.newVec(), a.newVec()];
  // t = x/(2 + x)
  a.constant(term, 2);
  a.binary('add', term, term, x);
  a.binary('divide', x, x, term);
  a.binary('multiply', square, x, x);
  a.constant(sum, 2 / (2 * TERMS - 1));
  for (let k = TERMS - 2; k >= 0; k--) {
    a.constant(term, 2 / (2 * k + 1));
    a.fma(term, sum, square);
    [sum, term] = [term, sum];
  }
  a.binary('multiply', x, x, sum);
  a.freeVec(sum, square, term);
}

/** Halvings that bring anything below 2³² under 2. */
const POWERS = [16, 8, 4, 2, 1] as const;

/** x ← log(x) for 1 ≤ x < 2³²; NaN stays NaN. */
export function emitLog(a: VectorAssembler, x: Vec): void {
  const [exponent, bound, smaller, more] = [a.newVec(), a.newVec(), a.newVec(), a.newVec()];
  a.zero(exponent);
  for (const power of POWERS) {
    a.constant(smaller, 2 ** -power);
    a.binary('multiply', smaller, smaller, x);
    a.constant(more, power);
    a.binary('add', more, more, exponent);
    a.constant(bound, 2 ** power);
    a.select('greaterOrEqual', exponent, x, bound, more, exponent);
    a.select('greaterOrEqual', x, x, bound, smaller, x);
  }
  a.constant(bound, 1);
  a.binary('subtract', x, x, bound);
  a.freeVec(bound, smaller, more);
  emitLog1p(a, x);
  const log2 = a.newVec();
  a.constant(log2, Math.LN2);
  a.fma(x, exponent, log2);
  a.freeVec(exponent, log2);
}
