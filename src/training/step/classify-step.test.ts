import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalTensor } from '../../../test/support/normal-tensor.ts';
import { referenceEngine } from '../../engine/reference/reference-engine.ts';
import type { Net } from '../../graph/net.ts';
import { mobileOneConfig } from '../../model/config.ts';
import { initialWeights } from '../../model/initialize.ts';
import { buildMobileOne, type OutputName } from '../../model/mobileone.ts';
import { createRandom } from '../../tensor/random.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import { checkRecipe, type Recipe } from '../recipe/recipe.ts';
import { namedRecipe } from '../recipe/recipes.ts';
import { targetsInput, teacherInput, trainingStep } from './classify-step.ts';
import { stepInputs } from './learning-step.ts';
import { averageInput, evaluationWeights, memoryName, rateInput } from './update-step.ts';

const [batch, side, classes] = [4, 32, 3];
const config = mobileOneConfig('s0', {
  widths: [0.0625, 0.03125, 0.015625, 0.0078125],
  pairs: [1, 1, 1, 1],
  branches: 2,
  classes,
});

function tinyNet(output: OutputName = 'logits'): Net {
  const graph = buildMobileOne(config, {
    form: 'train',
    batch,
    height: side,
    width: side,
    outputs: [output],
  });
  return { graph, weights: initialWeights(graph, 'timm', 3) };
}

const recipe: Recipe = checkRecipe({ ...namedRecipe('small', 's0'), batch, rateForBatch: batch, epochs: 2 });

function random(shape: readonly number[], seed: number): Tensor<Float32Array> {
  return normalTensor(shape, createRandom(seed));
}
const images = random([batch, side, side, 3], 5);
const labels = [0, 2, 1, 2];
const targets: Tensor<Float32Array> = {
  shape: [batch, classes],
  data: Float32Array.from(labels.flatMap((label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)))),
};
const rates = (rate: number, decay: number, average = 0) => ({
  [rateInput]: { shape: [2], data: Float32Array.of(rate, decay) },
  [averageInput]: { shape: [1], data: Float32Array.of(average) },
});

async function runSteps(rules: Recipe, count: number, net = tinyNet(), given: object = {}) {
  const step = trainingStep(net, rules);
  const session = await referenceEngine.compile(step.graph, step.weights);
  const losses: number[] = [];
  const states: Weights[] = [];
  for (let t = 0; t < count; t++) {
    const scheduled = stepInputs(rules, { step: t, stepsPerEpoch: count, epochs: rules.epochs });
    const outputs = await session.run({ image: images, [targetsInput]: targets, ...scheduled, ...given });
    losses.push(outputs.loss?.data[0] ?? Number.NaN);
    states.push(new Map([...step.weights, ...session.state()]));
  }
  return { losses, states, begin: step.weights, names: net.graph.parameters };
}

test('a net learns one batch by heart, with either optimizer', async () => {
  const adamw = { kind: 'adamw', beta1: 0.9, beta2: 0.999, eps: 1e-8 } as const;
  for (const rules of [
    { ...recipe, rate: { ...recipe.rate, base: 0.2, warmUp: { ...recipe.rate.warmUp, length: 0 } } },
    { ...recipe, optimizer: adamw, rate: { ...recipe.rate, base: 0.01 } },
    { ...recipe, loss: { kind: 'binaryCrossEntropy', smoothing: 0.1 }, clip: 1 } as const,
  ]) {
    const { losses } = await runSteps(rules, 12);
    assert.ok((losses.at(-1) ?? 9) < 0.96 * (losses[0] ?? 0), losses.join(' '));
  }
});

test('the head alone: its gradient, decay, velocity and average by hand', async () => {
  const net = tinyNet();
  const features = await referenceEngine.compile(tinyNet('preLogits').graph, net.weights);
  const x = (await features.run({ image: images })).preLogits?.data ?? [];
  const [weight, bias] = ['head.weight', 'head.bias'].map((name) => net.weights.get(name)?.data ?? []);
  const width = (weight?.length ?? 0) / classes;
  const gradient = new Float64Array(classes * width);
  const biasGradient = new Float64Array(classes);
  labels.forEach((label, n) => {
    const logits = [0, 1, 2].map((k) => {
      let sum = bias?.[k] ?? 0;
      for (let i = 0; i < width; i++) sum += (weight?.[k * width + i] ?? 0) * (x[n * width + i] ?? 0);
      return sum;
    });
    const total = logits.reduce((sum, z) => sum + Math.exp(z), 0);
    logits.forEach((z, k) => {
      const target = (k === label ? 0.9 : 0) + 0.1 / classes;
      const d = (Math.exp(z) / total - target) / batch;
      biasGradient[k] = (biasGradient[k] ?? 0) + d;
      for (let i = 0; i < width; i++)
        gradient[k * width + i] = (gradient[k * width + i] ?? 0) + d * (x[n * width + i] ?? 0);
    });
  });
  const rules: Recipe = {
    ...recipe,
    freeze: 'backbone',
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: false },
  };
  const { states, begin } = await runSteps(rules, 1, net, rates(0.5, 0.25, 0.125));
  const state = states[0] ?? new Map();
  const near = (name: string, expected: (i: number) => number): void =>
    state.get(name)?.data.forEach((value: number, i: number) => {
      assert.ok(Math.abs(value - expected(i)) < 1e-6, `${name}[${i}] ${value} ${expected(i)}`);
    });
  const velocity = (i: number): number => (gradient[i] ?? 0) + 0.25 * (weight?.[i] ?? 0);
  near(memoryName('velocity', 'head.weight'), velocity);
  near('head.weight', (i) => (weight?.[i] ?? 0) - 0.5 * velocity(i));
  near(memoryName('average', 'head.weight'), (i) => (weight?.[i] ?? 0) - 0.125 * 0.5 * velocity(i));
  near('head.bias', (k) => (bias?.[k] ?? 0) - 0.5 * (biasGradient[k] ?? 0)); // does not decay
  for (const [name, tensor] of begin)
    if (!name.includes('head.')) assert.deepEqual(state.get(name), tensor, `${name} is frozen`);
  assert.deepEqual(
    [...state.keys()].filter((name) => name.includes(':')),
    ['velocity:head.weight', 'velocity:head.bias', 'average:head.weight', 'average:head.bias'],
  );
});

test('averages follow weights and running statistics; evaluation reads them', async () => {
  const { states, begin, names } = await runSteps(recipe, 3);
  const net = tinyNet();
  for (const name of ['stem.conv.0.weight', 'stem.conv.0.bn.variance', 'head.weight']) {
    const average = Float64Array.from(begin.get(name)?.data ?? []);
    states.forEach((state, t) => {
      const { data } = stepInputs(recipe, { step: t, stepsPerEpoch: 3, epochs: 2 })[averageInput] ?? {
        data: [],
      };
      const momentum = data[0] ?? 0;
      state.get(name)?.data.forEach((value, i) => {
        average[i] = (average[i] ?? 0) + momentum * (value - (average[i] ?? 0));
      });
    });
    const last = states.at(-1) ?? new Map();
    const found = evaluationWeights([name], last).get(name)?.data ?? [];
    average.forEach((value, i) => {
      assert.ok(Math.abs(value - (found[i] ?? 9)) < 1e-6, `${name}[${i}]`);
    });
    assert.notDeepEqual(found, last.get(name)?.data);
    assert.notDeepEqual(last.get(name)?.data, net.weights.get(name)?.data);
  }
  assert.equal(evaluationWeights(net.weights.keys(), states[0] ?? new Map()).size, names.length);
});

test('who decays and how fast each layer learns is written on its optimizer node', () => {
  const { graph } = trainingStep(tinyNet(), {
    ...recipe,
    layerDecay: 0.5,
    decayed: { norms: false, biases: true },
  });
  const attrs = (name: string) => {
    const node = graph.nodes.find((one) => one.name === `${name}.step`);
    assert.ok(node?.kind === 'sgd');
    return [node.attrs.rateScale, node.attrs.decayScale];
  };
  assert.deepEqual(attrs('head.weight'), [1, 1]);
  assert.deepEqual(attrs('head.bias'), [1, 1]);
  assert.deepEqual(attrs('stages.3.1.conv.1.weight'), [0.5, 1]);
  assert.deepEqual(attrs('stages.3.1.conv.1.bn.gamma'), [0.5, 0]);
  assert.deepEqual(attrs('stem.conv.0.bn.beta'), [2 ** -9, 0]);
});

test('blocks merged or apart: the same step to rounding', async () => {
  const [apart, merged] = await Promise.all(
    (['none', 'all'] as const).map((choice) => runSteps({ ...recipe, mergeBranches: choice }, 2)),
  );
  const [a, b] = [apart?.states.at(-1) ?? new Map(), merged?.states.at(-1) ?? new Map()];
  assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
  for (const [name, { data }] of a)
    data.forEach((value: number, i: number) => {
      assert.ok(Math.abs(value - (b.get(name)?.data[i] ?? 9)) < 1e-4, `${name}[${i}]`);
    });
});

test('a teacher that is certain of the labels is the labels', async () => {
  const plain: Recipe = { ...recipe, loss: { kind: 'crossEntropy', smoothing: 0 }, clip: null };
  const taught: Recipe = { ...plain, distill: { share: 0.75, temperature: 1 } };
  const [a, b] = [
    await runSteps(plain, 2),
    await runSteps(taught, 2, tinyNet(), { [teacherInput]: targets }),
  ];
  a.losses.forEach((loss, t) => {
    assert.ok(Math.abs(loss - (b.losses[t] ?? 9)) < 1e-6);
  });
  const soft: Recipe = { ...plain, distill: { share: 0.5, temperature: 2 } };
  const { losses } = await runSteps(soft, 1, tinyNet(), { [teacherInput]: targets });
  assert.ok(Number.isFinite(losses[0]));
});
