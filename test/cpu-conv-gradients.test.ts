/** Gradients of convolutions on the CPU engine: as the reference has them, and the same bits for any number of threads. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { bindParameters } from '../src/engine/bind.ts';
import { lower } from '../src/engine/cpu/lower.ts';
import { lowerTraining } from '../src/engine/cpu/lower-training.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { type ConvGeometry, convGeometry, windowOutputSize } from '../src/graph/geometry.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../src/graph/graph.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Shape, type Tensor } from '../src/tensor/tensor.ts';
import { caseError, caseGraph, caseOutput, caseValues, type OpCase, runCase } from './cases/op-case.ts';
import { trainingConvolutionCases } from './cases/training-convolution.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { allMachines } from './support/machines.ts';
import { normalTensor } from './support/normal-tensor.ts';

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

/** The gradient of an input that some convolutions of 9 channels read, with more to add. */
interface Shared {
  readonly name: string;
  readonly geometries: readonly ConvGeometry[];
  readonly more: number;
  readonly tasks: number;
}
const lone = (kernel: number, stride = 1): ConvGeometry => convGeometry({ kernel, stride, groups: 9 });
const dense = convGeometry({ kernel: 1 });
const shared: readonly Shared[] = [
  { name: 'all in one task', geometries: [lone(1), lone(3), lone(3)], more: 0, tasks: 1 },
  { name: 'with one more value', geometries: [lone(5, 2), lone(1, 2)], more: 1, tasks: 1 },
  { name: 'with two more values', geometries: [lone(3, 2), lone(3, 2), lone(1, 2)], more: 2, tasks: 2 },
  { name: 'only those of like windows', geometries: [lone(3), lone(5), lone(5)], more: 0, tasks: 2 },
  { name: 'a single one with another value', geometries: [lone(3)], more: 1, tasks: 1 },
  { name: 'a single one with two', geometries: [lone(3)], more: 2, tasks: 2 },
  { name: 'not dense ones', geometries: [dense, dense], more: 1, tasks: 3 },
];

function sharedGraph({ name, geometries, more }: Shared): CheckedGraph {
  const b = graphBuilder(name);
  const input = [2, 9, 8, 9];
  const gradients = geometries.map((geometry, i) => {
    const dy = b.input(`dy${i}`, [2, ...windowOutputSize(geometry, 9, 8), 9]);
    const weight = b.parameter(`w${i}`, [9, 9 / geometry.groups, ...geometry.kernel], 'weight');
    return b.node('conv2dInputGrad', `g${i}`, { geometry, height: 9, width: 8 }, [dy, weight]);
  });
  const others = Array.from({ length: more }, (_, i) => b.input(`r${i}`, input));
  b.output(caseOutput, b.node('sum', 'sum', {}, [...others, ...gradients]));
  return b.finish();
}

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

    test('gradients of an input that several convolutions read', async () => {
      for (const each of shared) {
        const graph = sharedGraph(each);
        const random = createRandom(8);
        const normal = ({ shape }: { readonly shape: Shape }): Tensor => normalTensor(shape, random);
        const named = (ids: readonly ValueId[]) =>
          ids.map((id) => [valueAt(graph, id).name, normal(valueAt(graph, id))] as const);
        const inputs = Object.fromEntries(named(graph.inputs));
        const weights = new Map(named(graph.parameters.map(({ value }) => value)));
        const reference = await referenceEngine.compile(graph, weights, { precision: 'f64' });
        const expected = (await reference.run(inputs))[caseOutput] ?? assert.fail();
        const session = await engine.compile(graph, weights, { target, threads: 2 });
        await session.run(inputs);
        const found = (await session.run(inputs))[caseOutput] ?? assert.fail();
        session.dispose();
        assert.ok(maxDifference(found, expected).relative < 1e-5, each.name);
      }
    });
  });

test('what is joined', async () => {
  const [machine] = (await allMachines()).flatMap((each) => (each.skip === false ? [each.make()] : []));
  assert.ok(machine);
  for (const each of shared) {
    const graph = sharedGraph(each);
    const parameters = bindParameters(graph, initialWeights(graph, 'timm', 1));
    const { tasks } = lower(graph, parameters, machine.machine.target, 'f32', {
      training: lowerTraining,
    });
    assert.equal(tasks.length, each.tasks, `${each.name}: ${tasks.map(({ ops }) => ops).join(' | ')}`);
  }
});
