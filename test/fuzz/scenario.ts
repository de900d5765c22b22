import type { Engine } from '../../src/engine/engine.ts';
import { MobileOneError } from '../../src/errors.ts';
import type { Random } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

/** `answered`: it worked, and rightly where that can be told. `refused`: a typed error said why not. */
export type Verdict = 'answered' | 'refused';

export interface FuzzContext {
  readonly random: Random;
  readonly engine: Engine;
}

/** One random misuse of the public API. Anything but a verdict is a fault. */
export interface Scenario {
  readonly run: (context: FuzzContext) => Promise<Verdict>;
  /** Share of the time, default 1. */
  readonly weight?: number;
}

export function pick<T>(random: Random, from: readonly T[]): T {
  if (from.length === 0) throw new RangeError('nothing to pick from');
  return from[random.integer(from.length)] as T;
}

/** @throws what `work` throws unless it is one of this package's errors */
export async function refusable(work: () => Promise<void>): Promise<Verdict> {
  try {
    await work();
    return 'answered';
  } catch (error) {
    if (error instanceof MobileOneError) return 'refused';
    throw error;
  }
}

/** @throws Error when two results are further apart than another order of summation explains */
export function assertClose(found: Tensor | undefined, expected: Tensor | undefined, what: string): void {
  if (found === undefined || expected === undefined || found.data.length !== expected.data.length)
    throw new Error(`${what}: ${found?.data.length} numbers, expected ${expected?.data.length}`);
  let scale = 1e-3;
  for (const value of expected.data) scale = Math.max(scale, Math.abs(value) || 0);
  for (let i = 0; i < expected.data.length; i++) {
    const [a = 0, b = 0] = [found.data[i], expected.data[i]];
    if (!(Math.abs(a - b) <= 1e-3 * scale) && !(Number.isNaN(a) && Number.isNaN(b)) && a !== b)
      throw new Error(`${what}: number ${i} is ${a}, expected ${b} (largest ${scale})`);
  }
}

const native = process.env.MOBILEONE_NATIVE === '0' ? [] : ['avx512', 'avx2'];
const targets = [undefined, undefined, 'wasm-relaxed', 'wasm', ...native];

/** A choice of target and threads that the engine may or may not have. */
export function someOptions(random: Random): { readonly target?: string; readonly threads: number } {
  const target = pick(random, targets);
  return { threads: 1 + random.integer(4), ...(target === undefined ? {} : { target }) };
}
