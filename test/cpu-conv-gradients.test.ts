/** Gradients of convolutions on the CPU engine: as the reference has them, and the same bits for any number of threads. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { caseError, caseGraph, caseOutput, caseValues, type OpCase, runCase } from './cases/op-case.ts';
import { trainingConvolutionCases } from './cases/training-convolution.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';

after(() => pool.dispose());

async function run(c: OpCase, target: string, threads: number): Promise<Tensor> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const session = await engine.compile(graph, weights, { target, threads });
  try {
    await session.run(inputs);
    // The second run finds the memory of the first.
    return (await session.run(inputs))[caseOutput] ?? assert.fail(c.name);
  } finally {
    session.dispose();
  }
}

/** Kernels have a suite of their own; the last cases are the ones with the most tiles. */
const cases = trainingConvolutionCases.filter((_, i, all) => i % 9 === 0 || all.length - i < 30);

for (const target of targets)
  describe(`engine cpu on ${target}`, { skip: skipTarget(target) }, () => {
    test('gradients of convolutions', async () => {
      for (const c of cases) {
        const expected = await runCase(referenceEngine, c, 'f64');
        const found = await run(c, target, 1);
        assert.deepEqual(found.shape, expected.shape, c.name);
        const error = caseError(c, 'f32', found, expected);
        assert.ok(error <= 1, `${c.name}: ${error}`);
        assert.deepEqual(await run(c, target, 2), found, `${c.name}, two threads`);
      }
    });
  });
