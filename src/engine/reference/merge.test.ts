/** Merged branches against the branches they stand for, and their gradients against finite differences, in f64. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Branches,
  branchCases,
  patchLength,
  positive,
  symmetric,
} from '../../../test/cases/training-merge.ts';
import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { type ConvGeometry, convGeometry, formatGeometry, pointGeometry } from '../../graph/geometry.ts';
import type { ValueId } from '../../graph/graph.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { elementCount, maxDifference, type Shape, type Tensor, toFloat64 } from '../../tensor/tensor.ts';
import type { NamedTensors } from '../engine.ts';
import { referenceEngine } from './reference-engine.ts';

const eps = 1e-5;

function randomTensor(random: Random, shape: Shape, offset = 0): Tensor {
  return {
    shape,
    data: Float64Array.from({ length: elementCount(shape) }, () => offset + random.normal()),
  };
}

async function run(build: (b: GraphBuilder) => void, inputs: NamedTensors): Promise<NamedTensors> {
  const b = graphBuilder('test');
  build(b);
  const session = await referenceEngine.compile(b.finish(), new Map(), { precision: 'f64' });
  return session.run(inputs);
}

const get = (tensors: NamedTensors, name: string): Tensor => tensors[name] ?? assert.fail(name);

interface Block {
  readonly name: string;
  readonly geometry: ConvGeometry;
  readonly sizes: Branches;
  readonly weights: readonly Shape[];
  /** Branches, the skip included. */
  readonly count: number;
}

function blockOf(sizes: Branches): Block {
  const geometry = convGeometry(sizes);
  const weight = [sizes.to, sizes.from / geometry.groups, ...geometry.kernel];
  const weights = Array.from({ length: sizes.branches }, () => weight);
  if (sizes.scale) weights.push([...weight.slice(0, 2), 1, 1]);
  const count = weights.length + (sizes.skip ? 1 : 0);
  return { name: `${formatGeometry(geometry)} ${JSON.stringify(sizes)}`, geometry, sizes, weights, count };
}

function inputsOf({ sizes, weights, count }: Block, random: Random, offset: number): NamedTensors {
  const { from, to, size = [5, 7], batch = 1 } = sizes;
  const result: Record<string, Tensor> = { x: randomTensor(random, [batch, ...size, from], offset) };
  weights.forEach((shape, i) => {
    result[`weight${i}`] = randomTensor(random, shape);
  });
  for (let i = 0; i < count; i++) {
    result[`gamma${i}`] = randomTensor(random, [to]);
    result[`beta${i}`] = randomTensor(random, [to]);
  }
  return result;
}

const asInputs = (b: GraphBuilder, tensors: NamedTensors): ((name: string) => ValueId) => {
  const ids = new Map(Object.entries(tensors).map(([name, { shape }]) => [name, b.input(name, shape)]));
  return (name) => ids.get(name) ?? assert.fail(name);
};

const operands = ({ weights, count }: Block, of: (name: string) => ValueId): ValueId[] =>
  Array.from({ length: count }, (_, i) => [
    ...(i < weights.length ? [of(`weight${i}`)] : []),
    of(`gamma${i}`),
    of(`beta${i}`),
  ]).flat();

/** Mean and variance of each channel, by definition. */
function statistics({ shape, data }: Tensor): readonly [mean: Float64Array, variance: Float64Array] {
  const channels = shape.at(-1) ?? 1;
  const [mean, variance] = [new Float64Array(channels), new Float64Array(channels)];
  const share = channels / data.length;
  data.forEach((value, i) => {
    mean[i % channels] = (mean[i % channels] ?? 0) + value * share;
  });
  data.forEach((value, i) => {
    const centred = value - (mean[i % channels] ?? 0);
    variance[i % channels] = (variance[i % channels] ?? 0) + centred * centred * share;
  });
  return [mean, variance];
}

function assertClose(found: Tensor, data: Float64Array, tolerance: number, name: string): void {
  const { relative } = maxDifference(found, { shape: found.shape, data });
  assert.ok(relative <= tolerance, `${name}: ${relative}`);
}

/** Every case, with 4 channels where there would be many: sizes matter to fast engines, not here. */
const blocks = branchCases.map((c) => {
  const few = c.groups !== undefined && c.groups === c.from ? { from: 4, to: 4, groups: 4 } : {};
  const pointwise = c.kernel === 1 && c.groups === undefined ? { from: 4, to: c.skip ? 4 : 5 } : {};
  return blockOf({ ...c, ...few, ...pointwise });
});

test('one convolution with merged weights is the sum of branches that each measured its batch', async () => {
  for (const [seed, block] of blocks.entries()) {
    const { geometry, weights, count } = block;
    const inputs = inputsOf(block, createRandom(seed), seed % 3);
    const found = await run((b) => {
      const of = asInputs(b, inputs);
      const moments = b.results('patchMoments', 'moments', { geometry }, [of('x')]);
      const skip = count > weights.length;
      const merged = b.results('mergeBranches', 'merge', { geometry, eps, skip }, [
        ...moments,
        ...operands(block, of),
      ]);
      b.output('y', b.node('conv2d', 'y', { geometry }, [of('x'), ...merged.slice(0, 2)]));
      merged
        .slice(2, 2 + 2 * count)
        .forEach((id, i) => void b.output(`${i % 2 ? 'variance' : 'mean'}${i >> 1}`, id));
      weights.forEach((shape, i) => {
        const own = shape[2] === geometry.kernel[0] ? geometry : pointGeometry(geometry);
        b.output(`z${i}`, b.node('conv2d', `z${i}`, { geometry: own }, [of('x'), of(`weight${i}`)]));
      });
    }, inputs);
    const y = get(found, 'y');
    const expected = new Float64Array(y.data.length);
    for (let i = 0; i < count; i++) {
      const z = i < weights.length ? get(found, `z${i}`) : get(inputs, 'x');
      const [mean, variance] = statistics(z);
      assertClose(get(found, `mean${i}`), mean, 1e-12, `${block.name} mean ${i}`);
      assertClose(get(found, `variance${i}`), variance, 1e-12, `${block.name} variance ${i}`);
      const [gamma, beta] = [get(inputs, `gamma${i}`).data, get(inputs, `beta${i}`).data];
      z.data.forEach((value, at) => {
        const c = at % mean.length;
        const scale = (gamma[c] ?? 0) / Math.sqrt((variance[c] ?? 0) + eps);
        expected[at] = (expected[at] ?? 0) + (value - (mean[c] ?? 0)) * scale + (beta[c] ?? 0);
      });
    }
    assertClose(y, expected, 1e-12, block.name);
  }
});

function inner(a: Tensor, b: Tensor): number {
  let sum = 0;
  a.data.forEach((value, i) => {
    sum += value * (b.data[i] ?? Number.NaN);
  });
  return sum;
}

/** f's slope along a direction of one input, by central differences of fourth order. */
async function slope(
  f: (inputs: NamedTensors) => Promise<number>,
  inputs: NamedTensors,
  name: string,
  direction: Tensor,
): Promise<number> {
  const step = 1e-5;
  const at = (by: number): Promise<number> => {
    const from = get(inputs, name);
    const data = Float64Array.from(from.data, (x, i) => x + by * (direction.data[i] ?? 0));
    return f({ ...inputs, [name]: { shape: from.shape, data } });
  };
  const near = (await at(step)) - (await at(-step));
  const far = (await at(2 * step)) - (await at(-2 * step));
  return (8 * near - far) / (12 * step);
}

function assertSlope(found: number, expected: number, scale: number, name: string): void {
  assert.ok(Math.abs(found - expected) <= 1e-7 * (1 + scale), `${name}: ${found}, expected ${expected}`);
}

const norm = (tensor: Tensor): number => Math.sqrt(inner(tensor, tensor));

test('the gradient of moments is their slope', async () => {
  for (const [seed, { geometry, sizes, name }] of blocks.entries()) {
    const random = createRandom(100 + seed);
    const { from, size = [5, 7], batch = 1 } = sizes;
    const x = randomTensor(random, [batch, ...size, from], 1);
    const length = patchLength(sizes, geometry);
    const dmean = randomTensor(random, [geometry.groups, length]);
    const dcovariance = toFloat64(symmetric(randomTensor(random, [geometry.groups, length, length])));
    const inputs = { x };
    const momentsOf = (b: GraphBuilder, id: ValueId): readonly ValueId[] =>
      b.results('patchMoments', 'moments', { geometry }, [id]);
    const f = async (given: NamedTensors): Promise<number> => {
      const found = await run((b) => {
        const [mean, covariance] = momentsOf(b, asInputs(b, given)('x'));
        b.output('mean', mean ?? assert.fail());
        b.output('covariance', covariance ?? assert.fail());
      }, given);
      return inner(get(found, 'mean'), dmean) + inner(get(found, 'covariance'), dcovariance);
    };
    const all = { ...inputs, dmean, dcovariance };
    const { dx = assert.fail() } = await run((b) => {
      const of = asInputs(b, all);
      const [mean = assert.fail()] = momentsOf(b, of('x'));
      b.output(
        'dx',
        b.node('patchMomentsGrad', 'dx', { geometry }, [of('x'), mean, of('dmean'), of('dcovariance')]),
      );
    }, all);
    const direction = randomTensor(random, x.shape);
    assertSlope(await slope(f, inputs, 'x', direction), inner(dx, direction), norm(dx), name);
  }
});

test('gradients of merging are its slopes', async () => {
  for (const [seed, block] of blocks.entries()) {
    const { geometry, sizes, weights, count } = block;
    const random = createRandom(200 + seed);
    const length = patchLength(sizes, geometry);
    const { x: _, ...own } = inputsOf(block, random, 0);
    const covariance = toFloat64(positive(randomTensor(random, [geometry.groups, length, length])));
    const inputs = { mean: randomTensor(random, [geometry.groups, length]), covariance, ...own };
    const dweight = randomTensor(random, weights[0] ?? []);
    const dbias = randomTensor(random, [sizes.to]);
    const attrs = { geometry, eps, skip: count > weights.length };
    const mergedOf = (b: GraphBuilder, of: (name: string) => ValueId): readonly ValueId[] =>
      b.results('mergeBranches', 'merge', attrs, [of('mean'), of('covariance'), ...operands(block, of)]);
    const f = async (given: NamedTensors): Promise<number> => {
      const found = await run((b) => {
        const [weight = assert.fail(), bias = assert.fail()] = mergedOf(b, asInputs(b, given));
        b.output('weight', weight);
        b.output('bias', bias);
      }, given);
      return inner(get(found, 'weight'), dweight) + inner(get(found, 'bias'), dbias);
    };
    const all = { ...inputs, dweight, dbias };
    const names = ['mean', 'covariance', ...Object.keys(own).filter((name) => !name.startsWith('beta'))];
    const gradients = await run((b) => {
      const of = asInputs(b, all);
      const made = mergedOf(b, of);
      const products = made.slice(2 + 2 * count);
      const own = Array.from({ length: count }, (_, i) =>
        i < weights.length
          ? [of(`weight${i}`), of(`gamma${i}`), products[i] ?? assert.fail()]
          : [of(`gamma${i}`)],
      );
      const cotangents = [of('dweight'), of('dbias')];
      const statistics = made.slice(2, 2 + 2 * count);
      const given = [of('mean'), ...own.flat(), ...statistics, ...cotangents];
      const found = b.results('mergeBranchesGrad', 'grad', attrs, given);
      const ordered = [
        'mean',
        'covariance',
        ...Array.from({ length: count }, (_, i) => [
          ...(i < weights.length ? [`weight${i}`] : []),
          `gamma${i}`,
        ]).flat(),
      ];
      assert.deepEqual([...ordered].sort(), [...names].sort());
      ordered.forEach((name, i) => void b.output(name, found[i] ?? assert.fail(name)));
    }, all);
    for (const name of names) {
      const gradient = get(gradients, name);
      const drawn = randomTensor(random, gradient.shape);
      const direction = name === 'covariance' ? toFloat64(symmetric(drawn)) : drawn;
      const expected = await slope(f, inputs, name, direction);
      assertSlope(inner(gradient, direction), expected, norm(gradient), `${block.name} ${name}`);
    }
    const { data } = symmetric(get(gradients, 'covariance'));
    assertClose(get(gradients, 'covariance'), Float64Array.from(data), 1e-6, `${block.name} symmetric`);
  }
});
