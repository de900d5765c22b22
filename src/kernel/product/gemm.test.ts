/** Every way to compute matrix products on every machine here, against sums in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkGemm } from '../../../test/support/check-gemm.ts';
import { runGuarded } from '../../../test/support/guarded-plan.ts';
import { assertOneCodePerName } from '../../../test/support/kernel-names.ts';
import { allMachines } from '../../../test/support/machines.ts';
import { x64Target } from '../../assembler/x64/x64-target.ts';
import { ShapeError } from '../../errors.ts';
import { createRandom } from '../../tensor/random.ts';
import { type GemmTask, gemmRow, gemmRows, planGemm, planGemmInPlace } from './gemm.ts';
import { panelTiles } from './panel-tiles.ts';

const kinds = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);
type Sizes = readonly [m: number, n: number, k: number];

/** Below, at and above what blocks, panels and chunks of all targets hold. */
const sizes: readonly Sizes[] = [
  ...[1, 2, 3, 4, 5, 7, 8, 12, 13, 14, 15, 29].map((m): Sizes => [m, 33, 6]),
  ...[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 48, 63, 65, 97].map((n): Sizes => [9, n, 5]),
  ...[1, 2, 3, 4, 5, 255, 256, 257, 511, 600].map((k): Sizes => [6, 20, k]),
  [1, 200, 30],
  [70, 90, 110],
  [3, 5, 3000],
  [20, 36, 4100],
];

function tasksOf(all: readonly Sizes[]): readonly GemmTask[] {
  return all.flatMap(([m, n, k], i) =>
    kinds.map(({ transposeA, transposeB }, j): GemmTask => {
      const task = { m, n, k, transposeA, transposeB, accumulate: (i + j) % 3 === 0 };
      if ((i + j) % 2 === 0) return task;
      const leading = { a: (transposeA ? m : k) + 3, b: (transposeB ? k : n) + 1, c: n + 2 };
      return { ...task, leading };
    }),
  );
}

/** The f32 code of AVX-512 is the same with and without bf16. */
const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines) {
  describe(`gemm on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    for (const row of gemmRows) {
      it(row.name, () => {
        const random = createRandom(11);
        const tasks = tasksOf(sizes).filter(row.can);
        assert.ok(tasks.length > 50);
        for (const task of tasks) {
          const test = each.make();
          checkGemm(test, row.plan(test.machine.target, task), random, task, row.name);
        }
      });
    }

    it('large results are written past the caches', () => {
      const random = createRandom(14);
      const plain = { transposeA: false, transposeB: false, accumulate: false, past: true };
      const task: GemmTask = { ...plain, m: 8192, n: 64, k: 20 };
      for (const row of gemmRows) {
        const test = each.make();
        // The memory of other machines here is too small.
        if (test.machine.kind !== 'native') return;
        const plan = row.plan(test.machine.target, task);
        assert.ok(plan.steps.flat().some(({ kernel }) => kernel.name.includes('_past')));
        checkGemm(test, plan, random, task, row.name);
      }
    });

    it('the order of tiles changes no bit', () => {
      const test = each.make();
      const random = createRandom(13);
      const task = { m: 40, n: 50, k: 6000, transposeA: true, transposeB: true, accumulate: true };
      const [a, b, c] = [task.m * task.k, task.n * task.k, task.m * task.n].map((length) =>
        Float32Array.from({ length }, () => random.normal()),
      );
      assert.ok(a && b && c);
      const plan = planGemm(test.machine.target, task);
      assert.deepEqual([plan.steps.length, (plan.steps[1]?.length ?? 0) > 4], [3, true]);
      const backwards = { ...plan, steps: plan.steps.map((tiles) => tiles.toReversed()) };
      const found = runGuarded(test, plan, [a, b, c], c.length, 2);
      assert.deepEqual(runGuarded(each.make(), backwards, [a, b, c], c.length, 2), found);
    });

    it('every tile that the target could choose', () => {
      const random = createRandom(12);
      const { target } = each.make().machine;
      const task: GemmTask = {
        m: 29,
        n: 83,
        k: 7,
        transposeA: true,
        transposeB: false,
        accumulate: true,
      };
      const problem = { positions: task.m, vectors: Math.ceil(task.n / target.lanes), steps: task.k };
      const tiles = panelTiles(target, problem);
      assert.ok(tiles.length > 6);
      for (const tile of tiles)
        checkGemm(each.make(), planGemmInPlace(target, task, tile), random, task, JSON.stringify(tile));
    });
  });
}

it('kernels of one name have one code', () => {
  const target = x64Target({ avx2: true, avx512: true, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  assertOneCodePerName(
    tasksOf(sizes).flatMap((task) =>
      gemmRows.filter(({ can }) => can(task)).map((row) => [target, row.plan(target, task)] as const),
    ),
  );
});

it('dispatch packs what must be transposed, or is used often enough', () => {
  const rowOf = (m: number, transposeB: boolean): string =>
    gemmRow({ m, n: 64, k: 64, transposeA: false, transposeB, accumulate: false }).name;
  assert.equal(rowOf(8, false), 'in place');
  assert.equal(rowOf(8, true), 'packed');
  assert.equal(rowOf(4096, false), 'packed');
});

it('sizes that do not fit are refused', () => {
  const target = x64Target({ avx2: true, avx512: false, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  const task = { m: 4, n: 5, k: 6, transposeA: false, transposeB: false, accumulate: false };
  assert.throws(() => planGemm(target, { ...task, m: 0 }), ShapeError);
  assert.throws(() => planGemm(target, { ...task, k: 1.5 }), ShapeError);
  assert.throws(() => planGemm(target, { ...task, leading: { c: 4 } }), /5 numbers, found 6, 5 and 4/);
  assert.throws(() => planGemm(target, { ...task, transposeA: true, leading: { a: 3 } }), ShapeError);
});
