/** Ops of merged branches on every target of the CPU engine, against the reference engine in f64. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import type { OpKind } from '../src/graph/graph.ts';
import { type CaseValues, caseError, caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { trainingMergeCases } from './cases/training-merge.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';

after(() => pool.dispose());

const expectedOf = new Map<string, Promise<NamedTensors>>();

async function reference(c: OpCase, { inputs, weights }: CaseValues): Promise<NamedTensors> {
  const session = await referenceEngine.compile(caseGraph(c), weights, { precision: 'f64' });
  return session.run(inputs);
}

async function worstError(c: OpCase, target: string, threads: number): Promise<number> {
  const graph = caseGraph(c);
  const values = caseValues(c, graph);
  const known = expectedOf.get(c.name) ?? reference(c, values);
  expectedOf.set(c.name, known);
  const expected = await known;
  const session = await engine.compile(graph, values.weights, { target, threads });
  await session.run(values.inputs);
  const found = await session.run(values.inputs);
  session.dispose();
  const errors = graph.outputs.map(({ name }) =>
    caseError(c, 'f32', found[name] ?? assert.fail(name), expected[name] ?? assert.fail(name)),
  );
  return errors.some(Number.isNaN) ? Number.NaN : Math.max(...errors);
}

const kinds: readonly OpKind[] = ['patchMoments', 'patchMomentsGrad', 'mergeBranches', 'mergeBranchesGrad'];

for (const target of targets)
  describe(`merged branches on ${target}`, { skip: skipTarget(target) }, () => {
    for (const kind of kinds)
      test(kind, async () => {
        const cases = trainingMergeCases.filter((c) => c.kind === kind);
        assert.ok(cases.length > 15);
        for (const [i, c] of cases.entries()) {
          const error = await worstError(c, target, 1 + (i % 2));
          assert.ok(error <= 1, `${c.name}: ${error}`);
        }
      });
  });
