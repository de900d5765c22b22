/** Every op of training in sessions of the CPU engine, results over dead inputs where it puts them, against the reference. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import type { OpKind } from '../src/graph/graph.ts';
import { caseError, caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { trainingCases } from './cases/training-ops.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';

after(() => pool.dispose());

/** One branch's x is another's as well. */
const shared: OpCase = {
  name: 'normSumGrad of one x five times',
  kind: 'normSumGrad',
  build: (b) => {
    const [dy, x] = [b.input('dy', [3, 5, 7, 20]), b.input('x', [3, 5, 7, 20])];
    const [gamma, mean] = [b.parameter('gamma', [20], 'gamma'), b.parameter('mean', [20], 'mean')];
    const branch = [x, gamma, mean, b.parameter('variance', [20], 'variance')];
    const attrs = { eps: 1e-5, fn: null, statistics: 'batch' } as const;
    return b.results('normSumGrad', 'op', attrs, [dy, ...branch, ...branch, ...branch, ...branch, ...branch]);
  },
  reduction: 109,
  kinks: [],
};

/** Ops whose results may lie over inputs in ways of their own; kernels have their cases in training-kernels.test.ts. */
const kinds: readonly OpKind[] = ['normSumGrad', 'scale', 'activationGrad', 'sgd', 'adamw', 'lerp'];
const cases = [...trainingCases.filter(({ kind }) => kinds.includes(kind)), shared];

const expected = new Map<OpCase, Promise<NamedTensors>>();

async function reference(c: OpCase): Promise<NamedTensors> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  return session.run(inputs);
}

for (const target of targets)
  describe(`ops of training on ${target}`, { skip: skipTarget(target) }, () => {
    for (const kind of kinds)
      test(kind, async () => {
        for (const [i, c] of cases.filter((each) => each.kind === kind).entries()) {
          const graph = caseGraph(c);
          const { inputs, weights } = caseValues(c, graph);
          const wanted = await (expected.get(c) ?? expected.set(c, reference(c)).get(c));
          const session = await engine.compile(graph, weights, { target, threads: 1 + (i % 2) });
          const found = await session.run(inputs);
          session.dispose();
          for (const { name } of graph.outputs) {
            const [one, other] = [found[name], wanted?.[name]];
            assert.ok(one && other);
            const error = caseError(c, 'f32', one, other);
            assert.ok(error <= 1, `${target} ${c.name}: ${name} is ${error} of the tolerance off`);
          }
        }
      });
  });
