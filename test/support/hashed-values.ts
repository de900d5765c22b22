/** Numbers that test/fixtures/training-steps/generate.py draws too: a counter hash, seeded by a name. */
import type { ParameterRole } from '../../src/graph/graph.ts';
import { elementCount, type Shape } from '../../src/tensor/tensor.ts';

/** In (−1, 1): splitmix32 of a counter, seeded by FNV-1a of the name. */
export function hashedUniform(name: string, count: number): Float64Array {
  let seed = 2166136261;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let z = (seed + Math.imul(i + 1, 0x9e3779b9)) >>> 0;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    z = (z ^ (z >>> 15)) >>> 0;
    values[i] = ((z >>> 8) + 0.5) / 2 ** 23 - 1;
  }
  return values;
}

type Fill = (name: string, shape: Shape, shift: number) => (u: number) => number;

const fills: { readonly [R in ParameterRole]: Fill } = {
  weight: (name, shape) => {
    const bound = Math.sqrt((name === 'head.weight' ? 3 : 6) / elementCount(shape.slice(1)));
    return (u) => u * bound;
  },
  bias: () => (u) => u * 0.1,
  gamma: (name) => (u) => (1 + u * 0.5) * (name.includes('.skip.') ? 1 : 0.3),
  beta: (name, _, shift) => (u) => u * 0.2 + (name.includes('.conv.0.') ? shift : 0),
  mean: () => (u) => u * 0.1,
  variance: () => (u) => 1 + u * 0.25,
  state: () => () => 0,
};

/** A parameter before the first step; exact in f32. @param shift how far most of a block's sum lies above 0 */
export function hashedParameter(
  name: string,
  shape: Shape,
  role: ParameterRole,
  shift: number,
): Float64Array {
  const fill = fills[role](name, shape, shift);
  return hashedUniform(name, elementCount(shape)).map((u) => Math.fround(fill(u)));
}

/** Length of a vector, and its product with a hashed one of unit variance. */
export function digest(name: string, data: ArrayLike<number>): readonly [norm: number, projection: number] {
  const vector = hashedUniform(`${name}:projection`, data.length);
  let squares = 0;
  let dot = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] ?? 0;
    squares += value ** 2;
    dot += value * (vector[i] ?? 0);
  }
  return [Math.sqrt(squares), dot * Math.sqrt(3)];
}
