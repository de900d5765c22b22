/** Kernels of training, as the CPU engine plans them, on every machine here against the reference rules in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lowerNode } from '../src/engine/cpu/lower-rules.ts';
import { lowerTraining } from '../src/engine/cpu/lower-training.ts';
import { forward } from '../src/engine/reference/forward.ts';
import type { OpKind } from '../src/graph/graph.ts';
import { valueAt } from '../src/graph/graph.ts';
import type { TaskPlan } from '../src/kernel/plan/plan.ts';
import { toFloat64 } from '../src/tensor/tensor.ts';
import { caseError, caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { trainingCases } from './cases/training-ops.ts';
import { tensorOf } from './support/apply-op.ts';
import { runGuardedOutputs } from './support/guarded-plan.ts';
import { allMachines, type TestMachine } from './support/machines.ts';

/** Ops whose kernels this suite checks. */
const kinds: readonly OpKind[] = [
  'normSum',
  'normSumGrad',
  'channelSum',
  'sliceChannels',
  'spatialDot',
  'globalAveragePoolGrad',
  'pool2dGrad',
  'resizeBilinearGrad',
  'softmaxGrad',
  'crossEntropy',
  'crossEntropyGrad',
  'binaryCrossEntropy',
  'binaryCrossEntropyGrad',
  'lerp',
  'clipFactor',
  'sgd',
  'adamw',
];

function planned(test: TestMachine, c: OpCase) {
  const graph = caseGraph(c);
  const [node] = graph.nodes;
  assert.ok(node, c.name);
  const { inputs, weights } = caseValues(c, graph);
  const operands = node.inputs.map((id) => {
    const { name } = valueAt(graph, id);
    return inputs[name] ?? weights.get(name) ?? assert.fail(`${c.name}: no values for ${name}`);
  });
  const lowered = lowerNode(node, { graph, constants: new Map(), training: lowerTraining });
  assert.ok(lowered.kind === 'whole', `${c.name}: is ${lowered.kind}`);
  const expected = node.outputs.map((id) => tensorOf(valueAt(graph, id).shape, () => Number.NaN));
  forward(node, operands.map(toFloat64), expected);
  return { plan: lowered.plan(test.machine.target), operands, expected };
}

/** Bits of every output, one run per order of tiles: threads take them in any. */
function run(test: TestMachine, plan: TaskPlan, inputs: readonly Float32Array[], lengths: readonly number[]) {
  const found = runGuardedOutputs(test, plan, inputs, lengths);
  const backwards = { ...plan, steps: plan.steps.map((tiles) => tiles.toReversed()) };
  assert.deepEqual(runGuardedOutputs(test, backwards, inputs, lengths), found);
  return found;
}

/** The f32 code of AVX-512 is the same with and without bf16. */
const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines)
  describe(`kernels of training on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    for (const kind of kinds)
      it(kind, () => {
        const cases = trainingCases.filter((c) => c.kind === kind);
        assert.ok(cases.length > 5);
        for (const c of cases) {
          const test = each.make();
          const { plan, operands, expected } = planned(test, c);
          const inputs = operands.map(({ data }) => Float32Array.from(data));
          const found = run(
            test,
            plan,
            inputs,
            expected.map(({ data }) => data.length),
          );
          found.forEach((data, i) => {
            const { shape } = expected[i] ?? assert.fail();
            const error = caseError(c, 'f32', { shape, data }, expected[i] ?? assert.fail());
            assert.ok(error <= 1, `${each.name} ${c.name}: output ${i} is ${error} of the tolerance off`);
          });
          test.machine.dispose();
        }
      });
  });
