/** Losses and their gradients against PyTorch, finite differences and what they promise at the edges. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyOp, directional, dot, tensorOf } from '../../../test/support/apply-op.ts';
import { torch } from '../../../test/support/torch.ts';
import { createRandom } from '../../tensor/random.ts';
import type { Tensor } from '../../tensor/tensor.ts';

const one = tensorOf([1], () => 1);
const of = (shape: readonly number[], values: readonly number[]): Tensor =>
  tensorOf(shape, (i) => values[i] ?? Number.NaN);

function assertNumbers(found: Tensor | undefined, expected: readonly number[], what: string): void {
  assert.equal(found?.data.length, expected.length, what);
  expected.forEach((value, i) => {
    const error = Math.abs((found?.data[i] ?? Number.NaN) - value);
    assert.ok(error <= 1e-12 * (1 + Math.abs(value)), `${what}[${i}]: ${found?.data[i]}, not ${value}`);
  });
}

test('losses and gradients are PyTorch’s, rows it ignores and large logits included', () => {
  torch.crossEntropy.forEach(({ smoothing, shape, ...c }, i) => {
    const operands = [of(shape, c.logits), of(shape, c.targets)];
    assertNumbers(applyOp('crossEntropy', { smoothing }, operands)[0], [c.loss], `crossEntropy ${i}`);
    const [gradient] = applyOp('crossEntropyGrad', { smoothing }, [...operands, one]);
    assertNumbers(gradient, c.gradient, `crossEntropyGrad ${i}`);
  });
  torch.binaryCrossEntropy.forEach(({ shape, ...c }, i) => {
    const operands = [of(shape, c.logits), of(shape, c.targets)];
    assertNumbers(applyOp('binaryCrossEntropy', {}, operands)[0], [c.loss], `binaryCrossEntropy ${i}`);
    const [gradient] = applyOp('binaryCrossEntropyGrad', {}, [...operands, one]);
    assertNumbers(gradient, c.gradient, `binaryCrossEntropyGrad ${i}`);
  });
});

test('gradients are those of the losses, for targets of any weight', () => {
  const random = createRandom(1);
  const shape = [2, 3, 4];
  const [logits, targets, direction] = [3, 0, 1].map((scale) =>
    tensorOf(shape, () => (scale ? scale * random.normal() : random.uniform())),
  );
  assert.ok(logits && targets && direction);
  const dloss = tensorOf([1], () => -1.75);
  const smoothing = 0.2;
  const cross = directional(
    ([z = logits]) => applyOp('crossEntropy', { smoothing }, [z, targets]),
    [logits],
    [direction],
    [dloss],
  );
  const [dcross] = applyOp('crossEntropyGrad', { smoothing }, [logits, targets, dloss]);
  assert.ok(Math.abs(dot(dcross, direction) - cross) <= 1e-9, `${dot(dcross, direction)}, not ${cross}`);
  const binary = directional(
    ([z = logits]) => applyOp('binaryCrossEntropy', {}, [z, targets]),
    [logits],
    [direction],
    [dloss],
  );
  const [dbinary] = applyOp('binaryCrossEntropyGrad', {}, [logits, targets, dloss]);
  assert.ok(Math.abs(dot(dbinary, direction) - binary) <= 1e-9, `${dot(dbinary, direction)}, not ${binary}`);
});

test('a batch of which no row counts has neither loss nor gradient', () => {
  const logits = of([2, 3], [1, 2, 3, -4, 5, 6]);
  const nothing = tensorOf([2, 3], () => 0);
  assertNumbers(applyOp('crossEntropy', { smoothing: 0.1 }, [logits, nothing])[0], [0], 'loss');
  const [gradient] = applyOp('crossEntropyGrad', { smoothing: 0.1 }, [logits, nothing, one]);
  assertNumbers(gradient, [0, 0, 0, 0, 0, 0], 'gradient');
});
