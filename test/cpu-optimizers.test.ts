/** Optimizers in sessions of the CPU engine: steps over the parameters' own memory, against PyTorch and the reference. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import type { CheckedGraph, OpAttrs } from '../src/graph/graph.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Shape, type Tensor, type Weights, zeros } from '../src/tensor/tensor.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { torch } from './support/torch.ts';

after(() => pool.dispose());

const of = (...values: readonly number[]): Tensor => ({
  shape: [values.length],
  data: Float32Array.from(values),
});

/** A parameter `p` with a moving average, and what its optimizer remembers; the gradient is an input. */
function stepGraph(
  shape: Shape,
  kind: 'sgd' | 'adamw',
  attrs: OpAttrs['sgd'] & OpAttrs['adamw'],
): CheckedGraph {
  const b = graphBuilder(kind);
  const p = b.parameter('p', shape, 'weight');
  const gradient = b.input('gradient', shape);
  const memories = (kind === 'sgd' ? ['m0'] : ['m0', 'm1']).map((name) => b.parameter(name, shape, 'state'));
  const rates = b.input('rates', [kind === 'sgd' ? 2 : 4]);
  const [factor = gradient] = b.results('clipFactor', 'clip', { maxNorm: 1e9 }, [gradient]);
  const results = b.results(kind, 'step', attrs, [p, gradient, ...memories, rates, factor]);
  results.forEach((value, i) => {
    b.update([p, ...memories][i] ?? p, value);
  });
  const average = b.parameter('average', shape, 'state');
  const [next = p] = results;
  b.update(average, b.node('lerp', 'ema', { rate: 0.25, factor: 1 }, [average, next]));
  b.output('next', next);
  return b.finish();
}

const scales = { rateScale: 1, decayScale: 1 } as const;
const attrsOf = (attrs: Partial<OpAttrs['sgd'] & OpAttrs['adamw']>) => ({
  momentum: 0,
  nesterov: false,
  beta1: 0,
  beta2: 0,
  eps: 0,
  ...scales,
  ...attrs,
});

interface Run {
  readonly graph: CheckedGraph;
  readonly weights: Weights;
  readonly steps: readonly { readonly gradient: Tensor; readonly rates: Tensor }[];
}

/** The state after every step. */
async function trace(
  on: Engine,
  { graph, weights, steps }: Run,
  options: object,
): Promise<readonly Weights[]> {
  const session = await on.compile(graph, weights, options);
  const states: Weights[] = [];
  for (const step of steps) {
    await session.run({ ...step });
    states.push(session.state());
  }
  session.dispose();
  return states;
}

function memoryOf(shape: Shape): Weights {
  return new Map(['m0', 'm1', 'average'].map((name) => [name, zeros(shape)]));
}

const torchRuns = [
  ...torch.sgd.map((run) => ({
    run,
    graph: stepGraph([4], 'sgd', attrsOf(run)),
    ratesAt: (rate: number) => [rate, run.weight_decay],
  })),
  ...torch.adamw.map((run) => ({
    run,
    graph: stepGraph([4], 'adamw', attrsOf(run)),
    ratesAt: (rate: number, step: number) => [
      rate,
      run.weight_decay,
      1 - run.beta1 ** step,
      1 - run.beta2 ** step,
    ],
  })),
].map(({ run, graph, ratesAt }) => ({
  graph,
  weights: new Map([...memoryOf([4]), ['p', of(...run.start)]]),
  steps: run.steps.map(({ rate, gradient }, i) => ({
    gradient: of(...gradient),
    rates: of(...ratesAt(rate, i + 1)),
  })),
  expected: run.steps.map(({ parameter, memory }) => [parameter, ...memory]),
}));

/** A tensor of several tiles, three steps. */
function longRun(kind: 'sgd' | 'adamw'): Run {
  const random = createRandom(1);
  const shape = [3, 4099];
  const normal = (): Tensor => ({
    shape,
    data: Float32Array.from({ length: 3 * 4099 }, () => random.normal()),
  });
  const attrs = attrsOf({ momentum: 0.9, nesterov: true, beta1: 0.9, beta2: 0.99, eps: 1e-8 });
  const rates = kind === 'sgd' ? of(0.1, 0.01) : of(0.1, 0.01, 0.5, 0.25);
  return {
    graph: stepGraph(shape, kind, attrs),
    weights: new Map([...memoryOf(shape), ['p', normal()]]),
    steps: [1, 2, 3].map(() => ({ gradient: normal(), rates })),
  };
}

for (const target of targets)
  describe(`optimizers on ${target}`, { skip: skipTarget(target) }, () => {
    test('go the way of PyTorch', async () => {
      for (const { expected, ...run } of torchRuns) {
        const states = await trace(engine, run, { target });
        states.forEach((state, i) => {
          expected[i]?.forEach((numbers, j) => {
            const found = state.get(['p', 'm0', 'm1'][j] ?? '') ?? zeros([0]);
            assert.ok(
              maxDifference(found, of(...numbers)).relative < 2e-6,
              `${run.graph.name} step ${i}: ${found.data}, not ${numbers}`,
            );
          });
        });
      }
    });

    test('over many tiles, alike on any number of threads', async () => {
      for (const kind of ['sgd', 'adamw'] as const) {
        const run = longRun(kind);
        const expected = await trace(referenceEngine, run, { precision: 'f64' });
        const alone = await trace(engine, run, { target, threads: 1 });
        assert.deepEqual(await trace(engine, run, { target, threads: 2 }), alone);
        alone.forEach((state, i) => {
          for (const [name, found] of state) {
            const wanted = expected[i]?.get(name) ?? assert.fail(name);
            assert.ok(maxDifference(found, wanted).relative < 2e-6, `${kind} step ${i}: ${name}`);
          }
        });
      }
    });
  });
