/** Every bf16 convolution row on every machine that has bf16, against a direct convolution in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runGuardedInto } from '../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../test/support/machines.ts';
import { convolve } from '../engine/reference/convolution.ts';
import { type ActivationName, activations } from '../graph/activations.ts';
import { convGeometry, type GeometryOptions } from '../graph/geometry.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import { createRandom, type Random } from '../tensor/random.ts';
import { elementCount, type Shape } from '../tensor/tensor.ts';
import { bf16Rows } from './bf16-convolution.ts';
import type { Bf16Row, ConvStorage } from './bf16-row.ts';
import { type ConvTask, convSizes } from './convolution-row.ts';
import type { StorageType } from './storage.ts';

interface Case {
  readonly input: Shape;
  readonly outChannels: number;
  readonly geometry: GeometryOptions;
  readonly activation?: ActivationName;
  readonly residual?: boolean;
  readonly bias?: boolean;
  readonly storage?: ConvStorage;
}

const bf16: ConvStorage = { input: 'bf16', output: 'bf16' };
const rounded = (value: number): number => bfloat16ToNumber(numberToBfloat16(value));

/** Random numbers that are exact in bf16. */
function randomNumbers(random: Random, length: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => rounded(scale * random.normal()));
}

function makeTask(random: Random, { input, outChannels, ...rest }: Case): ConvTask {
  const geometry = convGeometry(rest.geometry);
  const shape = [outChannels, (input[3] ?? 0) / geometry.groups, ...geometry.kernel];
  const data = randomNumbers(random, elementCount(shape), 1 / Math.sqrt(elementCount(shape.slice(1))));
  return {
    input,
    geometry,
    weight: { shape, data },
    bias:
      rest.bias === false ? undefined : { shape: [outChannels], data: randomNumbers(random, outChannels) },
    activation: rest.activation ?? null,
    residual: rest.residual ?? false,
  };
}

const stored = (type: StorageType, data: Float32Array): Float32Array | Uint16Array =>
  type === 'f32' ? data : Uint16Array.from(data, numberToBfloat16);

/** Half a unit of bf16, where the result is stored so, and f32 sums in whatever order. */
function allowed(type: StorageType, expected: number, steps: number): number {
  const sums = 4 * 2 ** -23 * (1 + Math.sqrt(steps)) * (1 + Math.abs(expected));
  return sums + (type === 'bf16' ? 2 ** -8 * Math.abs(expected) : 0);
}

function runCase(test: TestMachine, row: Bf16Row, random: Random, each: Case): void {
  const task = makeTask(random, each);
  const sizes = convSizes(task);
  const storage = each.storage ?? bf16;
  const outShape = [sizes.images, sizes.outHeight, sizes.outWidth, sizes.outChannels];
  const what = `${test.name} ${row.name} ${JSON.stringify(each)}`;
  assert.ok(row.applies(test.machine.target, task), what);
  const x = randomNumbers(random, elementCount(task.input));
  const residual = randomNumbers(random, task.residual ? elementCount(outShape) : 0);
  const expected = { shape: outShape, data: new Float64Array(elementCount(outShape)) };
  convolve({ shape: task.input, data: x }, task.weight, task.bias, task.geometry, expected);
  const value = task.activation === null ? (v: number): number => v : activations[task.activation].value;
  const output = stored(storage.output, new Float32Array(expected.data.length));
  const plan = row.plan(test.machine.target, task, storage);
  const inputs = [stored(storage.input, x), stored(storage.output, residual)];
  runGuardedInto(test, plan, task.residual ? inputs : inputs.slice(0, 1), output);
  const steps = sizes.macs / elementCount(outShape);
  for (const [i, sum] of expected.data.entries()) {
    const reference = value(sum + (residual[i] ?? 0));
    const bits = output[i] ?? Number.NaN;
    const found = storage.output === 'bf16' ? bfloat16ToNumber(bits) : bits;
    const difference = Math.abs(found - reference);
    if (!(difference <= allowed(storage.output, reference, steps)))
      assert.fail(`${what}: output ${i} is ${found}, expected ${reference}`);
  }
}

const point = { kernel: 1 } as const;
const relu = { activation: 'relu' } as const;

/** Matrix products around the edges of tiles: rows, inner size, columns. */
const productCases: readonly Case[] = [
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

const storages: readonly ConvStorage[] = (['f32', 'bf16'] as const).flatMap((input) =>
  (['f32', 'bf16'] as const).map((output) => ({ input, output })),
);

const denseCases: readonly Case[] = [
  ...storages.flatMap((storage): Case[] => [
    { input: [1, 17, 19, 3], outChannels: 48, geometry: { kernel: 3, stride: 2 }, storage, ...relu },
    { input: [2, 5, 7, 24], outChannels: 17, geometry: point, residual: true, activation: 'silu', storage },
    { input: [2, 5, 7, 5], outChannels: 49, geometry: { kernel: [1, 3] }, residual: true, ...relu, storage },
    { input: [2, 5, 7, 6], outChannels: 37, geometry: { kernel: 3, dilation: 2 }, bias: false, storage },
  ]),
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

const depthwiseCases: readonly Case[] = [1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 70].flatMap((channels) =>
  [1, 2].flatMap((stride): Case[] => [
    {
      input: [2, 9, 11, channels],
      outChannels: channels,
      geometry: { kernel: 3, stride, groups: channels },
      residual: channels % 3 === 0,
      storage: storages[(channels + stride) % storages.length] ?? bf16,
      ...relu,
    },
    {
      input: [1, 8, 13, channels],
      outChannels: channels,
      geometry: { kernel: 3, stride, groups: channels },
      ...(channels % 2 ? { activation: 'silu' } : relu),
    },
    {
      input: [1, 7, 6, channels],
      outChannels: channels,
      geometry: { kernel: [5, 3], stride, dilation: [1, 2], groups: channels },
      residual: true,
    },
  ]),
);

/** Cases by the name of the row they are for. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  'bf16-depthwise': depthwiseCases,
  'bf16-tiles': [...productCases, ...denseCases],
};

const machines = (await allMachines()).filter(
  ({ name }) => name === 'avx512' || name === 'avx512 without tiles',
);

for (const each of machines) {
  describe(`bf16 convolution on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    const { target } = each.make().machine;
    for (const row of bf16Rows) {
      const own = cases[row.name] ?? [];
      const [first] = own;
      const missing = first && !row.applies(target, makeTask(createRandom(1), first));
      it(row.name, { skip: missing && 'the processor lacks its instructions' }, () => {
        assert.ok(own.length > 0, `no cases for row ${row.name}`);
        const random = createRandom(7);
        for (const one of own) runCase(each.make(), row, random, one);
      });
    }
  });
}
