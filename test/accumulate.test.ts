/** Steps computed in parts: without norms that measure a batch, their gradients are those of the whole. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, maxDifference, type Tensor, type Weights, zeros } from '../src/tensor/tensor.ts';
import { checkRecipe, type Recipe } from '../src/training/recipe/recipe.ts';
import { namedRecipe } from '../src/training/recipe/recipes.ts';
import { targetsInput, trainingStep } from '../src/training/step/classify-step.ts';
import { stepInputs } from '../src/training/step/learning-step.ts';
import { isPassing } from '../src/training/step/update-step.ts';
import { engine as cpu, pool, skipTarget, targets } from './support/cpu.ts';

after(() => pool.dispose());

const [batch, side, classes, steps] = [6, 32, 3, 3];
const config = mobileOneConfig('s0', {
  widths: [0.25, 0.125, 0.0625, 0.03125],
  pairs: [1, 1, 1, 1],
  classes,
});
const start = initialWeights(buildMobileOne(config, { form: 'deploy' }), 'apple', 3);

const random = createRandom(5);
const images: Tensor<Float32Array> = {
  shape: [batch, side, side, 3],
  data: Float32Array.from({ length: batch * side * side * 3 }, () => random.normal()),
};
const labels: Tensor<Float32Array> = {
  shape: [batch, classes],
  data: Float32Array.from({ length: batch * classes }, (_, i) =>
    i % classes === Math.floor(i / classes) % classes ? 1 : 0,
  ),
};

function part({ shape, data }: Tensor<Float32Array>, index: number, count: number): Tensor {
  const length = elementCount(shape) / count;
  return {
    shape: [batch / count, ...shape.slice(1)],
    data: data.subarray(index * length, (index + 1) * length),
  };
}

/** @returns what lasts of the state after some steps, and each run's loss */
async function learned(engine: Engine, recipe: Recipe, compile: object): Promise<[Weights, number[]]> {
  const { accumulate } = recipe;
  const graph = buildMobileOne(config, {
    form: 'deploy',
    batch: batch / accumulate,
    height: side,
    width: side,
  });
  const step = trainingStep({ graph, weights: start }, recipe);
  const session = await engine.compile(step.graph, step.weights, compile);
  const losses: number[] = [];
  for (let t = 0; t < steps; t++)
    for (let i = 0; i < accumulate; i++) {
      const { loss } = await session.run({
        [inputName]: part(images, i, accumulate),
        [targetsInput]: part(labels, i, accumulate),
        ...stepInputs(
          recipe,
          { step: t, stepsPerEpoch: steps, epochs: recipe.epochs },
          { before: i, own: 1, ends: i === accumulate - 1 },
        ),
      });
      losses.push(loss?.data[0] ?? Number.NaN);
    }
  const state = new Map([...session.state()].filter(([name]) => !isPassing(name)));
  session.dispose();
  return [state, losses];
}

const small = namedRecipe('small', 's0');
const sgd: Recipe = checkRecipe({ ...small, batch, rateForBatch: batch, epochs: 2, clip: 0.5 });
const optimizer = { kind: 'adamw', beta1: 0.9, beta2: 0.999, eps: 1e-4 } as const;
const adamw: Recipe = checkRecipe({ ...sgd, optimizer, rate: { ...sgd.rate, base: 0.01 } });

function assertSame(found: Weights, expected: Weights): void {
  assert.deepEqual([...found.keys()], [...expected.keys()]);
  for (const [name, tensor] of expected) {
    const change = maxDifference(tensor, start.get(name) ?? zeros(tensor.shape)).absolute;
    const { absolute } = maxDifference(found.get(name) ?? zeros([0]), tensor);
    assert.ok(absolute <= 2e-4 * change + 1e-7, `${name}: ${absolute}, changed by ${change}`);
  }
}

for (const [name, recipe] of Object.entries({ sgd, adamw }))
  test(`${name}: two, three and six parts are the whole step`, async () => {
    const [whole, losses] = await learned(referenceEngine, recipe, {});
    for (const accumulate of [2, 3, 6]) {
      const [state, partLosses] = await learned(referenceEngine, { ...recipe, accumulate }, {});
      assertSame(state, whole);
      losses.forEach((loss, t) => {
        const own = partLosses.slice(t * accumulate, (t + 1) * accumulate);
        const mean = own.reduce((sum, one) => sum + one, 0) / accumulate;
        assert.ok(Math.abs(mean - loss) <= 1e-4 * loss, `step ${t}: ${mean}, expected ${loss}`);
      });
    }
  });

for (const target of targets)
  for (const threads of [1, 2])
    test(`three parts on ${target}, threads ${threads}`, { skip: skipTarget(target) }, async () => {
      const recipe = { ...sgd, accumulate: 3 };
      const [expected] = await learned(referenceEngine, recipe, {});
      assertSame((await learned(cpu, recipe, { target, threads }))[0], expected);
      const [profiled] = await learned(cpu, recipe, { target, threads, profile: true });
      assertSame(profiled, expected);
    });
