import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CheckedGraph, isLearned, type OpKind, type ValueId, valueAt } from '../src/graph/graph.ts';
import { caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';
import { gradientErrors } from './support/gradient-check.ts';

/** Inputs that have no gradient, by op. */
const given: Partial<Readonly<Record<OpKind, readonly string[]>>> = {
  crossEntropy: ['targets'],
  binaryCrossEntropy: ['targets'],
};

function wantedOf(c: OpCase, graph: CheckedGraph): readonly ValueId[] {
  const learned = graph.parameters.filter(({ role }) => isLearned(role)).map(({ value }) => value);
  return [...graph.inputs, ...learned].filter((id) => !given[c.kind]?.includes(valueAt(graph, id).name));
}

async function worstError(c: OpCase): Promise<number> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const values = new Map([...Object.entries(inputs), ...weights]);
  const outputs = graph.outputs.map(({ value }) => value);
  const errors = await gradientErrors({ graph, values, outputs, wanted: wantedOf(c, graph) });
  assert.ok(errors.size > 0, c.name);
  return Math.max(...errors.values());
}

describe('gradients by central differences on the f64 reference', () => {
  for (const kind of new Set(opCases.map((c) => c.kind)))
    test(kind, async () => {
      for (const c of opCases.filter((each) => each.kind === kind)) {
        const error = await worstError(c);
        assert.ok(error < 1e-7, `${c.name}: ${error}`);
      }
    });
});
