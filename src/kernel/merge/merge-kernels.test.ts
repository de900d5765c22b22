/** Kernels of merged branches on every machine here, between guards, against the reference engine in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { caseError, caseGraph, caseValues, type OpCase } from '../../../test/cases/op-case.ts';
import { trainingMergeCases } from '../../../test/cases/training-merge.ts';
import { runGuardedOutputs } from '../../../test/support/guarded-plan.ts';
import { assertOneCodePerName } from '../../../test/support/kernel-names.ts';
import { allMachines } from '../../../test/support/machines.ts';
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { x64Target } from '../../assembler/x64/x64-target.ts';
import { referenceEngine } from '../../engine/reference/reference-engine.ts';
import { type CheckedGraph, valueAt } from '../../graph/graph.ts';
import type { Shape, Tensor } from '../../tensor/tensor.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { planMergeBranches, planMergeBranchesGrad } from './merge-branches.ts';
import { mergedConvolutions, mergeTask } from './merge-task.ts';
import { planPatchMoments, planPatchMomentsGrad } from './patch-moments.ts';

interface KernelCase {
  readonly c: OpCase;
  readonly plan: (target: VectorTarget) => TaskPlan;
  readonly inputs: readonly Float32Array[];
  readonly expected: readonly Tensor[];
}

function planOf(graph: CheckedGraph): KernelCase['plan'] {
  const [node] = graph.nodes;
  const shape = (i: number): Shape => {
    const id = node?.inputs[i] ?? assert.fail();
    return valueAt(graph, id).shape;
  };
  if (node?.kind === 'patchMoments')
    return (target) => planPatchMoments(target, shape(0), node.attrs.geometry);
  if (node?.kind === 'patchMomentsGrad')
    return (target) => planPatchMomentsGrad(target, shape(0), node.attrs.geometry);
  if (node?.kind !== 'mergeBranches' && node?.kind !== 'mergeBranchesGrad') return assert.fail();
  const first = node.kind === 'mergeBranches' ? 2 : 1;
  const weights = Array.from({ length: mergedConvolutions(node) }, (_, i) => shape(first + 3 * i));
  const task = mergeTask(node.attrs, weights);
  return (target) =>
    node.kind === 'mergeBranches' ? planMergeBranches(target, task) : planMergeBranchesGrad(target, task);
}

async function kernelCase(c: OpCase): Promise<KernelCase> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  const results = await session.run(inputs);
  const operands = graph.nodes[0]?.inputs.map((id) => {
    const { name } = valueAt(graph, id);
    return Float32Array.from((inputs[name] ?? weights.get(name) ?? assert.fail(name)).data);
  });
  return {
    c,
    plan: planOf(graph),
    inputs: operands ?? [],
    expected: graph.outputs.map(({ name }) => results[name] ?? assert.fail(name)),
  };
}

const cases = await Promise.all(trainingMergeCases.map(kernelCase));
const lengths = ({ expected }: KernelCase): readonly number[] => expected.map(({ data }) => data.length);

for (const each of await allMachines())
  describe(`merged branches on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;

    it('every case', () => {
      for (const one of cases) {
        const test = each.make();
        const found = runGuardedOutputs(test, one.plan(test.machine.target), one.inputs, lengths(one));
        one.expected.forEach((expected, i) => {
          const error = caseError(one.c, 'f32', { ...expected, data: found[i] ?? assert.fail() }, expected);
          assert.ok(error <= 1, `${one.c.name}, output ${i}: ${error}`);
        });
      }
    });

    it('the order of tiles changes no bit', () => {
      for (const one of cases.filter((_, i) => i % 5 === 0)) {
        const test = each.make();
        const plan = one.plan(test.machine.target);
        const backwards = { ...plan, steps: plan.steps.map((tiles) => tiles.toReversed()) };
        const found = runGuardedOutputs(test, plan, one.inputs, lengths(one));
        const again = runGuardedOutputs(each.make(), backwards, one.inputs, lengths(one));
        assert.deepEqual(again, found, one.c.name);
      }
    });
  });

it('kernels of one name have one code', () => {
  const target = x64Target({ avx2: true, avx512: true, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  assertOneCodePerName(cases.map(({ plan }) => [target, plan(target)] as const));
});
