import assert from 'node:assert/strict';
import type { TaskPlan } from '../../src/kernel/plan/plan.ts';
import type { GemmTask } from '../../src/kernel/product/gemm-task.ts';
import type { Random } from '../../src/tensor/random.ts';
import { runGuarded } from './guarded-plan.ts';
import type { TestMachine } from './machines.ts';

export interface GemmExtras {
  /** What becomes of factors before they are multiplied. */
  readonly rounded?: (factor: number) => number;
  /** Added to C: inputs 3 and 4. */
  readonly bias?: Float32Array;
  readonly residual?: Float32Array;
  readonly relu?: boolean;
}

/**
 * Runs a product of random numbers against sums in f64. What differs is the order of f32 sums: of k products of about
 * 1/√k each, |C − reference| ≤ 4·eps·(1 + √k)·(1 + |reference|).
 */
export function checkGemm(
  test: TestMachine,
  plan: TaskPlan,
  random: Random,
  task: GemmTask,
  about: string,
  { rounded = (factor) => factor, bias, residual, relu }: GemmExtras = {},
): void {
  const { m, n, k, transposeA, transposeB, accumulate } = task;
  const lead = { a: transposeA ? m : k, b: transposeB ? k : n, c: n, ...task.leading };
  /** Rows do not reach the last one's end: that is where the memory may stop. */
  const floats = (rows: number, width: number, leading: number): Float32Array =>
    Float32Array.from({ length: (rows - 1) * leading + width }, () => random.normal());
  const a = transposeA ? floats(k, m, lead.a) : floats(m, k, lead.a);
  const b = (transposeB ? floats(n, k, lead.b) : floats(k, n, lead.b)).map((x) => x / Math.sqrt(k));
  const c = floats(m, n, lead.c);
  if (!accumulate) for (let i = 0; i < c.length; i++) if (i % lead.c < n) c[i] = Number.NaN;
  const more = [bias, residual].filter((each) => each !== undefined);
  const found = runGuarded(test, plan, [a, b, c, ...more], c.length, 2);
  const [left, right] = [a.map(rounded), b.map(rounded)];
  const what = `${test.name} ${about} ${JSON.stringify(task)}`;
  for (const [i, value] of found.entries()) {
    const [row, column] = [Math.floor(i / lead.c), i % lead.c];
    if (column >= n) {
      assert.equal(value, c[i], `${what}: between rows, number ${i} was overwritten`);
      continue;
    }
    let sum = (accumulate ? (c[i] ?? 0) : 0) + (bias?.[column] ?? 0) + (residual?.[i] ?? 0);
    for (let s = 0; s < k; s++) {
      const x = left[transposeA ? s * lead.a + row : row * lead.a + s] ?? 0;
      sum += x * (right[transposeB ? column * lead.b + s : s * lead.b + column] ?? 0);
    }
    if (relu) sum = Math.max(0, sum);
    const allowed = 4 * 2 ** -23 * (1 + Math.sqrt(k)) * (1 + Math.abs(sum));
    assert.ok(Math.abs(value - sum) <= allowed, `${what}: C[${row},${column}] is ${value}, expected ${sum}`);
  }
}
