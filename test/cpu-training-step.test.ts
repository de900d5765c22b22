/** Whole steps of training on the CPU engine: what they learn against the reference engine in f64. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Engine, NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import type { Tensor, Weights } from '../src/tensor/tensor.ts';
import { checkRecipe, type Recipe } from '../src/training/recipe/recipe.ts';
import { namedRecipe } from '../src/training/recipe/recipes.ts';
import { targetsInput, teacherInput, trainingStep } from '../src/training/step/classify-step.ts';
import { stepInputs } from '../src/training/step/learning-step.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';

after(() => pool.dispose());

const [batch, side, classes, steps] = [6, 48, 5, 3];

/** Widths beside the vectors' lengths, squeeze-excite in one pair, two branches. */
function net(): Net {
  const config = mobileOneConfig('s0', {
    widths: [0.3, 0.15, 0.07, 0.04],
    pairs: [1, 1, 1, 1],
    squeezeExcite: [0, 0, 1, 0],
    branches: 2,
    classes,
  });
  const graph = buildMobileOne(config, { form: 'train', batch, height: side, width: side });
  return { graph, weights: initialWeights(graph, 'timm', 3) };
}

const base: Recipe = checkRecipe({ ...namedRecipe('small', 's0'), batch, rateForBatch: batch, epochs: 2 });
const rate: Recipe['rate'] = { ...base.rate, base: 0.01, warmUp: { ...base.rate.warmUp, length: 0 } };
const adamw = { kind: 'adamw', beta1: 0.9, beta2: 0.999, eps: 1e-3 } as const;
const recipes: { readonly [name: string]: Recipe } = {
  'branches apart, gradients clipped': { ...base, rate, mergeBranches: 'none', clip: 1 },
  'merged branches': { ...base, rate, mergeBranches: 'all' },
  'AdamW, binary cross-entropy': {
    ...base,
    rate,
    optimizer: adamw,
    loss: { kind: 'binaryCrossEntropy', smoothing: 0.1 },
  },
  'a teacher, first layers frozen': {
    ...base,
    rate,
    freeze: 'stage1',
    distill: { share: 0.5, temperature: 2 },
  },
};

const random = createRandom(5);
const shape = [batch, side, side, 3];
const image: Tensor = normalTensor(shape, random);
const labels: Tensor = {
  shape: [batch, classes],
  data: Float32Array.from({ length: batch * classes }, (_, i) => (i % (classes + 1) === 0 ? 1 : 0)),
};

interface Learned {
  readonly outputs: NamedTensors;
  readonly state: Weights;
}

async function learn(on: Engine, rules: Recipe, options: object): Promise<Learned> {
  const { graph, weights } = trainingStep(net(), rules);
  const session = await on.compile(graph, weights, options);
  let outputs: NamedTensors = {};
  for (let step = 0; step < steps; step++) {
    const scheduled = stepInputs(rules, { step, stepsPerEpoch: steps, epochs: rules.epochs });
    const teacher = rules.distill ? { [teacherInput]: labels } : {};
    outputs = await session.run({ image, [targetsInput]: labels, ...teacher, ...scheduled });
  }
  const state = session.state();
  session.dispose();
  return { outputs, state };
}

/** |found − wanted| / |wanted|, as lengths of vectors; of small ones the length itself. */
function distance(found: Tensor | undefined, wanted: Tensor): number {
  let [difference, length] = [0, 0];
  wanted.data.forEach((value, i) => {
    difference += ((found?.data[i] ?? Number.NaN) - value) ** 2;
    length += value ** 2;
  });
  return Math.sqrt(difference) / Math.max(1e-2, Math.sqrt(length));
}

const truths = new Map(
  Object.entries(recipes).map(([name, rules]) => [name, learn(referenceEngine, rules, { precision: 'f64' })]),
);

for (const target of targets)
  describe(`training steps on ${target}`, { skip: skipTarget(target) }, () => {
    for (const [i, [name, rules]] of Object.entries(recipes).entries())
      test(name, async () => {
        const truth = await (truths.get(name) ?? assert.fail());
        const found = await learn(engine, rules, { target, threads: 1 + (i % 2) });
        let worst = { key: '', far: 0 };
        for (const [key, tensor] of [...Object.entries(truth.outputs), ...truth.state]) {
          const far = distance(found.outputs[key] ?? found.state.get(key), tensor);
          if (!(far <= worst.far)) worst = { key, far };
        }
        assert.ok(worst.far <= 2e-4, `${worst.key}: ${worst.far}`);
        assert.deepEqual([...found.state.keys()], [...truth.state.keys()]);
      });
  });
