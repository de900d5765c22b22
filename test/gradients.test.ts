import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CheckedGraph, isLearned, type OpKind, type ValueId, valueAt } from '../src/graph/graph.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../src/tensor/tensor.ts';
import { unsupported } from '../src/transform/vjp-training.ts';
import { caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';
import { symmetric } from './cases/training-merge.ts';
import { trainingCases } from './cases/training-ops.ts';
import { gradientErrors } from './support/gradient-check.ts';

/** Of ops whose other outputs no loss may depend on: how many may. */
const differentiable: Partial<Readonly<Record<OpKind, number>>> = { normSum: 1, mergeBranches: 2 };

/** Everything a gradient may be asked of: inputs, and parameters that are learned. */
function wantedOf(graph: CheckedGraph): readonly ValueId[] {
  const learned = graph.parameters.filter(({ role }) => isLearned(role)).map(({ value }) => value);
  return [...graph.inputs, ...learned];
}

async function worstError(c: OpCase): Promise<number> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const values = new Map([...Object.entries(inputs), ...weights]);
  const outputs = graph.outputs.map(({ value }) => value).slice(0, differentiable[c.kind]);
  if (c.kind === 'patchMoments' && outputs[1] !== undefined)
    values.set('projection.1', symmetricProjection(valueAt(graph, outputs[1]).shape));
  const errors = await gradientErrors({ graph, values, outputs, wanted: wantedOf(graph) });
  return Math.max(...errors.values());
}

/** Cotangents of covariances are symmetric. @returns [1, elements], in a covariance's order */
function symmetricProjection(shape: Shape): Tensor {
  const random = createRandom(3);
  const size = elementCount(shape);
  const drawn = { shape, data: Float32Array.from({ length: size }, () => random.normal()) };
  return { shape: [1, size], data: symmetric(drawn).data };
}

const cases = [...opCases, ...trainingCases].filter(
  ({ kind }) => kind !== 'constant' && !Object.hasOwn(unsupported, kind),
);

describe('gradients by central differences on the f64 reference', () => {
  for (const kind of new Set(cases.map((c) => c.kind)))
    test(kind, async () => {
      for (const c of cases.filter((each) => each.kind === kind)) {
        const error = await worstError(c);
        assert.ok(error < 1e-7, `${c.name}: ${error}`);
      }
    });
});
