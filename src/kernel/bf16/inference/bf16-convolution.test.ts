/** Every bf16 convolution row on every machine that has bf16, against a direct convolution in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConvCase, convCaseTask } from '../../../../test/support/conv-case.ts';
import { type Numbers, runGuardedInto } from '../../../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../../../test/support/machines.ts';
import { convolve } from '../../../engine/reference/convolution.ts';
import { activations } from '../../../graph/activations.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../../../tensor/half.ts';
import { createRandom, type Random } from '../../../tensor/random.ts';
import { elementCount } from '../../../tensor/tensor.ts';
import { type ConvTask, convSizes } from '../../convolution/convolution-row.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import { type PixelStorage, pixelBytes, storageName } from '../../vector/storage.ts';
import { bf16Row, type ConvStorage, planBf16Convolution } from './bf16-convolution.ts';
import { bf16Rows } from './bf16-product.ts';
import type { Bf16Row, ProductTerms } from './bf16-row.ts';

const one = { terms: 1 } as const;
const two = { terms: 2 } as const;
const termsOfNumber = (value: number): readonly [number, number] => {
  const high = bfloat16ToNumber(numberToBfloat16(value));
  return [high, bfloat16ToNumber(numberToBfloat16(value - high))];
};

/** Random numbers that are exact in so many terms. */
function randomNumbers(random: Random, length: number, terms: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => {
    const [high, low] = termsOfNumber(scale * random.normal());
    return terms === 1 ? high : high + low;
  });
}

function makeTask(random: Random, each: ConvCase, terms: number): ConvTask {
  return convCaseTask(each, (length, scale, what) =>
    randomNumbers(random, length, what === 'bias' ? 2 : terms, scale),
  );
}

/** Pixels of `channels` as memory holds them. */
function stored(storage: PixelStorage, data: Float32Array, channels: number): Numbers {
  if (storage === 'f32') return data;
  const halves = new Uint16Array(pixelBytes(storage, data.length) / 2);
  for (const [i, value] of data.entries())
    for (let term = 0; term < storage.terms; term++)
      halves[place(i, channels, storage.terms, term)] = numberToBfloat16(termsOfNumber(value)[term] ?? 0);
  return halves;
}

const place = (i: number, channels: number, terms: number, term: number): number =>
  (i - (i % channels)) * terms + term * channels + (i % channels);

function numberAt(storage: PixelStorage, memory: Numbers, i: number, channels: number): number {
  if (storage === 'f32') return memory[i] ?? Number.NaN;
  let sum = 0;
  for (let term = 0; term < storage.terms; term++)
    sum += bfloat16ToNumber(memory[place(i, channels, storage.terms, term)] ?? 0xffff);
  return sum;
}

/** A unit of what is stored, the product of second terms that is left out, and f32 sums in whatever order. */
function allowed(storage: PixelStorage, terms: ProductTerms, expected: number, steps: number): number {
  const unit = storage === 'f32' ? 0 : storage.terms === 1 ? 2 ** -8 : 2 ** -16;
  const left = terms.input === 2 && terms.weights === 2 ? 2 ** -16 : 0;
  return (
    (4 * 2 ** -23 + left) * (1 + Math.sqrt(steps)) * (1 + Math.abs(expected)) + unit * Math.abs(expected)
  );
}

type MakePlan = (test: TestMachine, task: ConvTask) => TaskPlan;

function runCase(
  test: TestMachine,
  makePlan: MakePlan,
  random: Random,
  each: ConvCase,
  storage: ConvStorage,
  terms: ProductTerms,
): void {
  const task = makeTask(random, each, terms.weights);
  const sizes = convSizes(task);
  const outShape = [sizes.images, sizes.outHeight, sizes.outWidth, sizes.outChannels];
  const what = `${test.name} ${JSON.stringify({ each, storage, terms })}`;
  const x = randomNumbers(random, elementCount(task.input), terms.input);
  const residual = randomNumbers(random, task.residual ? elementCount(outShape) : 0, 1);
  const expected = { shape: outShape, data: new Float64Array(elementCount(outShape)) };
  convolve({ shape: task.input, data: x }, task.weight, task.bias, task.geometry, expected);
  const value = task.activation === null ? (v: number): number => v : activations[task.activation].value;
  const output = stored(storage.output, new Float32Array(expected.data.length), sizes.outChannels);
  const inputs = [stored(storage.input, x, sizes.inChannels)];
  if (task.residual) inputs.push(stored(storage.output, residual, sizes.outChannels));
  runGuardedInto(test, makePlan(test, task), inputs, output);
  const steps = sizes.macs / elementCount(outShape);
  for (const [i, sum] of expected.data.entries()) {
    const reference = value(sum + (residual[i] ?? 0));
    const found = numberAt(storage.output, output, i, sizes.outChannels);
    if (!(Math.abs(found - reference) <= allowed(storage.output, terms, reference, steps)))
      assert.fail(`${what}: output ${i} is ${found}, expected ${reference}`);
  }
}

/** Every combination of what tensors hold and of how many terms factors have. */
const manners = ([1, 2] as const).flatMap((input) =>
  ([1, 2] as const).flatMap((weights) =>
    (['f32', input === 1 ? one : two] as const).flatMap((from) =>
      (['f32', one, two] as const).map((to) => ({
        storage: { input: from, output: to },
        terms: { input, weights },
      })),
    ),
  ),
);

/** With a residual, outputs are in one term. */
function mannersFor(each: ConvCase): typeof manners {
  return manners.filter(({ storage }) => !each.residual || storageName(storage.output) !== 'bf16x2');
}

const point = { kernel: 1 } as const;
const relu = { activation: 'relu' } as const;

/** Matrix products around the edges of tiles: rows, inner size, columns. */
const productCases: readonly ConvCase[] = [
  ...[1, 2, 15, 16, 17, 31, 32, 33, 49, 63, 64, 65, 196].map((rows) => [rows, 48, 48]),
  ...[1, 2, 3, 15, 16, 27, 31, 32, 33, 34, 47, 62, 63, 64, 65, 66, 96, 130, 256].map((inner) => [
    17,
    inner,
    33,
  ]),
  ...[1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 96, 97, 1000].map((columns) => [18, 34, columns]),
  [196, 256, 64],
  [784, 40, 40],
  [1, 1024, 1000],
].map(([rows = 1, inner = 1, outChannels = 1]) => ({
  input: [1, 1, rows, inner],
  outChannels,
  geometry: point,
  ...relu,
}));

const denseCases: readonly ConvCase[] = [
  { input: [1, 17, 19, 3], outChannels: 48, geometry: { kernel: 3, stride: 2 }, ...relu },
  { input: [2, 5, 7, 24], outChannels: 17, geometry: point, residual: true, activation: 'silu' },
  { input: [2, 5, 7, 5], outChannels: 49, geometry: { kernel: [1, 3] }, residual: true, ...relu },
  { input: [2, 5, 7, 6], outChannels: 37, geometry: { kernel: 3, dilation: 2 }, bias: false },
  { input: [3, 9, 9, 12], outChannels: 40, geometry: { kernel: 1, stride: 2 }, activation: 'hardSwish' },
  {
    input: [1, 9, 8, 7],
    outChannels: 33,
    geometry: { kernel: [3, 2], padding: [0, 1, 2, 3], dilation: [1, 3] },
  },
  { input: [1, 6, 6, 4], outChannels: 16, geometry: { kernel: 5, padding: 0 }, activation: 'relu6' },
  { input: [2, 1, 1, 40], outChannels: 10, geometry: point, activation: 'sigmoid' },
  { input: [1, 2, 2, 2], outChannels: 3, geometry: { kernel: 3, padding: 3 }, activation: 'hardSigmoid' },
];

const depthwiseCases: readonly ConvCase[] = [1, 2, 15, 16, 17, 31, 32, 33, 48, 70].flatMap((channels) =>
  [1, 2].flatMap((stride): ConvCase[] => [
    {
      input: [2, 9, 11, channels],
      outChannels: channels,
      geometry: { kernel: 3, stride, groups: channels },
      ...relu,
    },
    {
      input: [1, 7, 6, channels],
      outChannels: channels,
      geometry: { kernel: [5, 3], stride, dilation: [1, 2], groups: channels },
      activation: 'silu',
    },
  ]),
);

const machines = (await allMachines()).filter(
  ({ name }) => name === 'avx512' || name === 'avx512 without tiles',
);

function checkRow(make: () => TestMachine, row: Bf16Row): void {
  const random = createRandom(7);
  const all = [...productCases, ...denseCases];
  for (const [i, each] of all.entries()) {
    const every = mannersFor(each);
    // Products around the edges of tiles take turns; the few others are tried in every manner.
    const some = i < productCases.length ? every.filter((_, m) => m % 7 === i % 7) : every;
    for (const { storage, terms } of some)
      runCase(make(), (_, task) => row.plan(task, { ...storage, terms }), random, each, storage, terms);
  }
}

for (const each of machines) {
  describe(`bf16 convolution on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    const { target } = each.make().machine;
    for (const row of bf16Rows) {
      const skip = bf16Row(target) === row ? false : 'another row is taken here';
      it(row.name, { skip }, () => checkRow(each.make, row));
    }

    it('depthwise in f32 with its result in terms', () => {
      const random = createRandom(8);
      const terms = { input: 2, weights: 2 } as const;
      for (const one of depthwiseCases)
        for (const output of ['f32', { terms: 1 }, { terms: 2 }] as const) {
          const storage = { input: 'f32', output } as const;
          const plan: MakePlan = ({ machine }, task) =>
            planBf16Convolution(machine.target, task, storage, 'bf16x2');
          runCase(each.make(), plan, random, one, storage, terms);
        }
    });
  });
}
