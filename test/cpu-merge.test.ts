/** Ops of merged branches on every target of the CPU engine, against the reference engine in f64. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry, type GeometryOptions } from '../src/graph/geometry.ts';
import type { CheckedGraph, OpKind } from '../src/graph/graph.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Tensor } from '../src/tensor/tensor.ts';
import { type CaseValues, caseError, caseGraph, caseValues, type OpCase } from './cases/op-case.ts';
import { largeMomentCases, trainingMergeCases } from './cases/training-merge.ts';
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

/** Pixels whose mean is a hundred times their deviation. */
function farFromZero(shape: readonly number[]): Tensor {
  const random = createRandom(9);
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, () => 100 + random.normal()) };
}

function momentsGraph(channels: number, options: GeometryOptions): CheckedGraph {
  const b = graphBuilder('moments');
  const x = b.input('x', [3, 12, 11, channels]);
  const [mean, covariance] = b.results('patchMoments', 'm', { geometry: convGeometry(options) }, [x]);
  b.output('mean', mean ?? assert.fail());
  b.output('covariance', covariance ?? assert.fail());
  return b.finish();
}

/** Numbers of a covariance in which no padding takes part: those of centre taps, or of all where there is one. */
function inside(covariance: Tensor, taps: number): readonly number[] {
  const [groups = 0, length = 0] = covariance.shape;
  const centre = (taps - 1) / 2;
  return Array.from({ length: groups * length * length }, (_, i) => i)
    .filter((i) => i % taps === centre && Math.floor(i / length) % taps === centre)
    .map((i) => covariance.data[i] ?? Number.NaN);
}

const kinds: readonly OpKind[] = ['patchMoments', 'patchMomentsGrad', 'mergeBranches', 'mergeBranchesGrad'];

for (const target of targets)
  describe(`merged branches on ${target}`, { skip: skipTarget(target) }, () => {
    for (const kind of kinds)
      test(kind, async () => {
        // Kernels are checked on all small ones; here it is how they are put into tasks.
        const small = trainingMergeCases.filter((c) => c.kind === kind).filter((_, i) => i % 4 === 0);
        const cases = [...small, ...largeMomentCases.filter((c) => c.kind === kind)];
        assert.ok(cases.length > 3);
        for (const [i, c] of cases.entries()) {
          const error = await worstError(c, target, 1 + (i % 2));
          assert.ok(error <= 1, `${c.name}: ${error}`);
        }
      });

    test('small deviations from a large mean', async () => {
      for (const [channels, options] of [
        [20, { kernel: 1 }],
        [20, { kernel: 3, groups: 20 }],
        [20, { kernel: 3, groups: 20, stride: 2 }],
        [3, { kernel: 3, stride: 2 }],
      ] as const) {
        const graph = momentsGraph(channels, options);
        const inputs = { x: farFromZero([3, 12, 11, channels]) };
        const exact = await referenceEngine.compile(graph, new Map(), { precision: 'f64' });
        const expected = inside((await exact.run(inputs)).covariance ?? assert.fail(), options.kernel ** 2);
        const session = await engine.compile(graph, new Map(), { target });
        const found = inside((await session.run(inputs)).covariance ?? assert.fail(), options.kernel ** 2);
        session.dispose();
        const error = Math.max(...expected.map((value, i) => Math.abs((found[i] ?? Number.NaN) - value)));
        assert.ok(error <= 1e-5, `${JSON.stringify(options)}: ${error}`);
      }
    });
  });
