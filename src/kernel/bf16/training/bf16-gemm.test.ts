/** Matrix products of rounded factors on every machine that has bf16, against f64 sums of the same factors. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkGemm } from '../../../../test/support/check-gemm.ts';
import { runGuarded } from '../../../../test/support/guarded-plan.ts';
import { assertOneCodePerName } from '../../../../test/support/kernel-names.ts';
import { allMachines, type TestMachine } from '../../../../test/support/machines.ts';
import { x64Target } from '../../../assembler/x64/x64-target.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../../../tensor/half.ts';
import { createRandom } from '../../../tensor/random.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import type { GemmTask } from '../../product/gemm-task.ts';
import { bf16GemmRows, hasBf16Products, paysInBf16 } from './bf16-gemm.ts';
import { planBf16Rows } from './bf16-rows.ts';

type Sizes = readonly [m: number, n: number, k: number];

/** Below, at and above what tiles (16 × 16 × 32), blocks (32 rows), panels and chunks hold. */
const sizes: readonly Sizes[] = [
  ...[1, 2, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100].map((m): Sizes => [m, 33, 40]),
  ...[1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 65, 97].map((n): Sizes => [34, n, 31]),
  ...[1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 130].map((k): Sizes => [35, 18, k]),
  [600, 40, 70],
  [1100, 20, 33],
  [70, 130, 600],
  [64, 64, 1030],
  [20, 36, 5100],
  [320, 300, 300],
];

function tasksOf(all: readonly Sizes[], transposeA: boolean, transposeB: boolean): readonly GemmTask[] {
  return all.map(([m, n, k], i): GemmTask => {
    const task = { m, n, k, transposeA, transposeB, accumulate: i % 3 === 0 };
    if (i % 2 === 0) return task;
    const leading = { a: (transposeA ? m : k) + 3, b: (transposeB ? k : n) + 1, c: n + 2 };
    return { ...task, leading };
  });
}

/** Products of two such numbers are exact in f32. */
const rounded = (value: number): number => bfloat16ToNumber(numberToBfloat16(value));

for (const each of await allMachines()) {
  const skip = each.skip === false && !hasBf16Products(each.make().machine.target) && 'no bf16 here';
  describe(`bf16 gemm on ${each.name}`, { skip: each.skip || skip }, () => {
    if (each.skip !== false) return;
    for (const row of bf16GemmRows)
      for (const transposeA of [false, true])
        for (const transposeB of [false, true]) {
          const tasks = tasksOf(sizes, transposeA, transposeB).filter(row.can);
          if (tasks.length === 0) continue;
          it(`${row.name}${transposeA ? ', A transposed' : ''}${transposeB ? ', B transposed' : ''}`, () => {
            const random = createRandom(11);
            for (const task of tasks) {
              const test = each.make();
              checkGemm(test, row.plan(test.machine.target, task), random, task, row.name, { rounded });
            }
          });
        }

    it('bias, residual and activation', () => {
      const random = createRandom(12);
      for (const [m, n, k] of [[37, 47, 50] as const, [64, 96, 64] as const]) {
        const test = each.make();
        const plan = planBf16Rows(test.machine.target, {
          ...{ m, n, k, aRow: k * 4, bRow: k * 4, cRow: n * 4, transposeB: true },
          bias: { buffer: 'input3', offset: 0 },
          residual: { buffer: 'input4', offset: 0 },
          activation: 'relu',
          past: false,
        });
        const numbers = (length: number): Float32Array => Float32Array.from({ length }, random.normal);
        const extras = { bias: numbers(n), residual: numbers(m * n), relu: true };
        const task = { m, n, k, transposeA: false, transposeB: true, accumulate: false };
        checkGemm(test, plan, random, task, 'with extras', { rounded, ...extras });
      }
    });

    it('large results are written past the caches', () => {
      const test = each.make();
      const plain = { transposeA: false, transposeB: false, accumulate: false, past: true };
      const task: GemmTask = { ...plain, m: 8200, n: 64, k: 20 };
      const plan = bf16GemmRows[0]?.plan(test.machine.target, task);
      assert.ok(plan);
      assert.ok(plan.steps.flat().some(({ kernel }) => kernel.name.includes('_past')));
      checkGemm(test, plan, createRandom(14), task, 'past the caches', { rounded });
    });

    it('the order of tiles changes no bit', () => {
      const random = createRandom(13);
      for (const transposeA of [false, true]) {
        const task: GemmTask = { m: 640, n: 50, k: 3000, transposeA, transposeB: false, accumulate: true };
        const row = bf16GemmRows.find(({ can }) => can(task));
        const data = [task.m * task.k, task.n * task.k, task.m * task.n].map((length) =>
          Float32Array.from({ length }, () => random.normal()),
        );
        const test: TestMachine = each.make();
        const plan: TaskPlan | undefined = row?.plan(test.machine.target, task);
        assert.ok(plan);
        assert.ok(Math.max(...plan.steps.map(({ length }) => length)) > 4);
        const backwards = { ...plan, steps: plan.steps.map((tiles) => tiles.toReversed()) };
        const found = runGuarded(test, plan, data, task.m * task.n, 2);
        assert.deepEqual(runGuarded(each.make(), backwards, data, task.m * task.n, 2), found);
      }
    });
  });
}

it('kernels of one name have one code', () => {
  const plans = [false, true].flatMap((amxBf16) => {
    const target = x64Target({ avx2: true, avx512: true, avx512Bf16: true, amxBf16 });
    assert.ok(target);
    return bf16GemmRows.flatMap((row) =>
      [false, true].flatMap((transposeB) =>
        tasksOf(sizes, row.name === 'bf16 sums', transposeB)
          .filter(row.can)
          .map((task) => [target, row.plan(target, task)] as const),
      ),
    );
  });
  assertOneCodePerName(plans);
});

it('small products stay f32', () => {
  assert.ok(paysInBf16({ m: 2048, n: 96, k: 96 }));
  assert.ok(!paysInBf16({ m: 8192, n: 96, k: 9 }));
  assert.ok(!paysInBf16({ m: 32, n: 20, k: 512 }));
});
