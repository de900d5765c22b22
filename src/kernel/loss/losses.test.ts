/** What the cases of ops do not show of losses: large logits, rows that do not count, logarithms at their edges. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyOp } from '../../../test/support/apply-op.ts';
import { runGuarded } from '../../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../../test/support/machines.ts';
import { createRandom } from '../../tensor/random.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { planElementMap } from '../elementwise/element-map.ts';
import { emitLog, emitLog1p } from '../vector/logarithm.ts';
import { planBinaryCrossEntropy, planBinaryCrossEntropyGrad } from './binary-cross-entropy.ts';
import { planCrossEntropy, planCrossEntropyGrad } from './cross-entropy.ts';

const EPSILON = 2 ** -23;

function assertClose(found: Float32Array, expected: Tensor | undefined, floor: number, what: string): void {
  assert.equal(found.length, expected?.data.length, what);
  expected?.data.forEach((value, i) => {
    const error = Math.abs((found[i] ?? Number.NaN) - value);
    const allowed = 16 * EPSILON * (Math.abs(value) + floor);
    assert.ok(error <= allowed, `${what}: ${found[i]} at ${i}, not ${value}`);
  });
}

const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines)
  describe(`losses on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    const test: TestMachine = each.make();
    const { target } = test.machine;
    const one = Float32Array.of(1);

    it('log and log1p to a few units in the last place', () => {
      const random = createRandom(1);
      const from0to1 = Float32Array.from({ length: 500 }, (_, i) =>
        i < 250 ? random.uniform() : 2 ** (-100 * random.uniform()),
      );
      from0to1.set([0, 1, 1e-38]);
      const from1 = Float32Array.from({ length: 500 }, (_, i) =>
        i < 250 ? 1 + random.uniform() ** 8 : 2 ** (31 * random.uniform()),
      );
      from1.set([1, 2, 1 + EPSILON, 2 - EPSILON, 4, 2 ** 31, 1000]);
      const rows = [
        { name: 'log1p', emit: emitLog1p, x: from0to1, value: Math.log1p },
        { name: 'log', emit: emitLog, x: from1, value: Math.log },
      ];
      for (const { name, emit, x, value } of rows) {
        const plan = planElementMap(target, {
          name,
          count: x.length,
          inputs: ['input0'],
          outputs: 1,
          shared: [],
          flops: 1,
          prepare: () => [],
          emit: (a, values) => {
            const [v] = values;
            if (v !== undefined) emit(a, v);
            return values;
          },
        });
        runGuarded(test, plan, [x], x.length).forEach((found, i) => {
          const expected = value(x[i] ?? 0);
          const error = Math.abs(found - expected) / EPSILON;
          assert.ok(error <= 2 * expected, `${name}(${x[i]}) is ${found}, not ${expected}`);
        });
      }
    });

    it('cross-entropy of logits as large as thousands, of which some rows do not count', () => {
      const random = createRandom(2);
      const shape = [37, 21];
      const logits = Float32Array.from({ length: 37 * 21 }, () => 3000 * random.normal());
      const targets = Float32Array.from({ length: 37 * 21 }, (_, i) =>
        Math.floor(i / 21) % 3 === 0 ? 0 : Number(i % 21 === 5),
      );
      for (const smoothing of [0, 0.1]) {
        const task = { shape, smoothing };
        const operands = [logits, targets].map((data) => ({ shape, data }));
        const loss = runGuarded(test, planCrossEntropy(target, task), [logits, targets], 1);
        assertClose(loss, applyOp('crossEntropy', task, operands)[0], 0, 'loss');
        const plan = planCrossEntropyGrad(target, task);
        const gradient = runGuarded(test, plan, [logits, targets, one], logits.length);
        const expected = applyOp('crossEntropyGrad', task, [...operands, { shape: [1], data: one }])[0];
        assertClose(gradient, expected, 1 / 24, 'gradient');
        const nothing = new Float32Array(logits.length);
        assert.deepEqual(
          runGuarded(test, planCrossEntropy(target, task), [logits, nothing], 1),
          new Float32Array(1),
        );
        const none = runGuarded(test, plan, [logits, nothing, one], logits.length);
        assert.ok(none.every((value) => value === 0));
      }
    });

    it('more rows than tiles hold one by one', () => {
      const random = createRandom(3);
      const shape = [9, 61, 67, 3]; // 36,783 rows
      const [logits, targets] = [0, 1].map(() =>
        Float32Array.from({ length: 36_783 * 3 }, () => random.uniform()),
      );
      assert.ok(logits && targets);
      const task = { shape, smoothing: 0.05 };
      const operands = [logits, targets].map((data) => ({ shape, data }));
      const loss = runGuarded(test, planCrossEntropy(target, task), [logits, targets], 1);
      assertClose(loss, applyOp('crossEntropy', task, operands)[0], 0, 'loss');
      const plan = planCrossEntropyGrad(target, task);
      const gradient = runGuarded(test, plan, [logits, targets, one], logits.length);
      const expected = applyOp('crossEntropyGrad', task, [...operands, { shape: [1], data: one }])[0];
      assertClose(gradient, expected, 1 / 36_783, 'gradient');
    });

    it('binary cross-entropy of logits as large as thousands', () => {
      const random = createRandom(4);
      const shape = [41];
      const logits = Float32Array.from({ length: 41 }, (_, i) => (i % 2 ? 2000 : 3) * random.normal());
      const targets = Float32Array.from({ length: 41 }, (_, i) => Number(i % 3 === 0));
      const operands = [logits, targets].map((data) => ({ shape, data }));
      const loss = runGuarded(test, planBinaryCrossEntropy(target, 41), [logits, targets], 1);
      assertClose(loss, applyOp('binaryCrossEntropy', {}, operands)[0], 0, 'loss');
      const plan = planBinaryCrossEntropyGrad(target, 41);
      const gradient = runGuarded(test, plan, [logits, targets, one], 41);
      const expected = applyOp('binaryCrossEntropyGrad', {}, [...operands, { shape: [1], data: one }])[0];
      assertClose(gradient, expected, 1 / 41, 'gradient');
    });
  });
