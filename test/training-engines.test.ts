import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { maxDifference, type Weights } from '../src/tensor/tensor.ts';
import type { Recipe } from '../src/training/recipe/recipe.ts';
import { memoryRunStore } from '../src/training/run/run-store.ts';
import { readRun, train } from '../src/training/run/train.ts';
import { trainingStep } from '../src/training/step/classify-step.ts';
import { stepInputs } from '../src/training/step/learning-step.ts';
import { engine } from './support/cpu.ts';
import { tinyConfig, tinyData, tinyModel, tinyWeights } from './support/tiny-run.ts';

const wide = { ...tinyModel, branches: 3, stemChannels: 12 };
const variants: Readonly<Record<string, Partial<Recipe>>> = {
  'sgd with clipping': { clip: 1 },
  // A large eps: otherwise the first steps take the sign of gradients that are nothing but rounding.
  adamw: { optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.99, eps: 1e-3 } },
  'all merged': { mergeBranches: 'all' },
  'none merged, frozen stem': { mergeBranches: 'none', freeze: 'stem' },
  'binary cross-entropy': { loss: { kind: 'binaryCrossEntropy', smoothing: 0.1 } },
};

/** The state after a few steps, with the losses beside it. */
async function stepped(on: Engine, recipe: Recipe): Promise<Weights> {
  const net = buildMobileOne(wide, { form: 'train', batch: 4, height: 40, width: 40 });
  const step = trainingStep({ graph: net, weights: tinyWeights(3, wide) }, recipe);
  const session = await on.compile(step.graph, step.weights);
  const losses: number[] = [];
  const request = { from: 0, batch: 4, size: 40, strength: 1 };
  for (let epoch = 0; epoch < 2; epoch++)
    for await (const { images, targets: classes } of tinyData().trainBatches({ ...request, epoch })) {
      const moment = { step: losses.length, stepsPerEpoch: 2, epochs: 2 };
      const inputs = { image: images, targets: classes, ...stepInputs(recipe, moment) };
      losses.push((await session.run(inputs)).loss?.data[0] ?? Number.NaN);
    }
  const state = session.state();
  session.dispose();
  return new Map([...state, ['losses', { shape: [losses.length], data: Float32Array.from(losses) }]]);
}

describe('a few steps of every kind of recipe on the CPU engine are those of the reference', () => {
  for (const [what, over] of Object.entries(variants)) {
    const { recipe } = tinyConfig(over);
    test(what, async () => {
      const expected = await stepped(referenceEngine, recipe);
      const found = await stepped(engine, recipe);
      assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
      for (const [name, tensor] of expected) {
        const other = found.get(name) ?? { shape: [], data: new Float32Array() };
        const { absolute } = maxDifference(other, tensor);
        assert.ok(absolute < 2e-3, `${name} differs by ${absolute}`);
      }
    });
  }
});

test('on the CPU engine too, a run that was stopped goes on to the same bits', async () => {
  const config = tinyConfig();
  const given = { engine, config, data: tinyData(), compile: { threads: 2 } };
  const straight = memoryRunStore();
  await train({ ...given, weights: tinyWeights(), store: straight });
  const store = memoryRunStore();
  const stop = new AbortController();
  let steps = 0;
  await train({
    ...given,
    weights: tinyWeights(),
    store,
    signal: stop.signal,
    onStep: () => {
      if (++steps === 7) stop.abort();
    },
  });
  const from = await readRun(store);
  assert.equal(from?.progress.step, 7);
  await train({ ...given, from, store });
  assert.deepEqual((await readRun(store))?.state, (await readRun(straight))?.state);
});
