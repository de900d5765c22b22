/** A seeded generator (xoshiro128**, seeded by splitmix32): the same seed gives the same numbers everywhere. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  readonly uniform: () => number;
  /** Standard normal (Box–Muller). */
  readonly normal: () => number;
  /** Uniform integer in [0, limit). */
  readonly integer: (limit: number) => number;
}

export function createRandom(seed: number): Random {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  const uniform = (): number => ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal, integer: (limit) => Math.floor(uniform() * limit) };
}

/**
 * The seed of one branch of a tree of generators: the same seed and path give the same seed everywhere, and
 * neighbouring paths give unrelated ones. So what is random about sample 7 of epoch 3 is
 * `createRandom(deriveSeed(seed, 3, 7))`, whoever computes it and in whatever order.
 */
export function deriveSeed(seed: number, ...path: readonly number[]): number {
  let state = finish(seed >>> 0);
  for (const part of path) state = finish((Math.imul(state, 31) + finish((part + 0x9e3779b9) >>> 0)) >>> 0);
  return state;
}

/** The finalizer of splitmix32: every bit of the input changes every bit of the result. */
function finish(value: number): number {
  let z = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
