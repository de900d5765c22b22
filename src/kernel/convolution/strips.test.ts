/** Two convolutions in strips give, on every machine here, the bits that they give one after the other. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { convCaseTask } from '../../../test/support/conv-case.ts';
import { type Numbers, runGuardedInto } from '../../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../../test/support/machines.ts';
import type { GeometryOptions } from '../../graph/geometry.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import { planBf16Convolution } from '../bf16/inference/bf16-convolution.ts';
import { callsOf } from '../plan/plan.ts';
import { type PixelStorage, pixelBytes } from '../vector/storage.ts';
import { type ConvTask, convSizes } from './convolution-row.ts';
import { rowsPlanner } from './convolution-task.ts';
import { canRunInStrips, planStrips, type StripOptions, type StripStage } from './strips.ts';

interface Case {
  /** [N, H, W, C] */
  readonly input: Shape;
  readonly channels: number;
  readonly first: GeometryOptions;
  /** Depthwise, or pointwise where it says how many channels come out. */
  readonly second: Omit<GeometryOptions, 'groups'>;
  readonly outChannels?: number;
}

function makeTask(random: Random, input: Shape, outChannels: number, geometry: GeometryOptions): ConvTask {
  return convCaseTask({ input, outChannels, geometry, activation: 'relu' }, (length) =>
    Float32Array.from({ length }, () => random.normal()),
  );
}

function makePair(
  random: Random,
  { input, channels, first, second, outChannels }: Case,
): readonly [ConvTask, ConvTask] {
  const one = makeTask(random, input, channels, first);
  const { images, outHeight, outWidth } = convSizes(one);
  const between = [images, outHeight, outWidth, channels];
  return [
    one,
    outChannels === undefined
      ? makeTask(random, between, channels, { ...second, groups: channels })
      : makeTask(random, between, outChannels, second),
  ];
}

const f32Stage =
  ({ machine }: TestMachine) =>
  (task: ConvTask): StripStage => ({
    task,
    plan: rowsPlanner(machine.target, task),
    input: 'f32',
    output: 'f32',
  });

const bf16Stage =
  ({ machine }: TestMachine) =>
  (task: ConvTask): StripStage => {
    const output: PixelStorage = task.geometry.groups === 1 ? 'f32' : { terms: 1 };
    const plan = (rows: ConvTask) =>
      planBf16Convolution(machine.target, rows, { input: 'f32', output }, 'bf16');
    return { task, plan, input: 'f32', output };
  };

function outputOf({ task, output }: StripStage): Numbers {
  const { images, outHeight, outWidth, outChannels } = convSizes(task);
  const bytes = images * outHeight * outWidth * pixelBytes(output, outChannels);
  return output === 'f32' ? new Float32Array(bytes / 4) : new Uint16Array(bytes / 2);
}

/** @returns how many calls the tiles make */
function check(
  test: TestMachine,
  stages: readonly [StripStage, StripStage],
  options: StripOptions,
  random: Random,
): number {
  const [first, second] = stages;
  const what = JSON.stringify({
    input: first.task.input,
    geometries: [first.task.geometry, second.task.geometry],
    options,
  });
  const input = Float32Array.from({ length: elementCount(first.task.input) }, () => random.normal());
  const [between, expected, found] = [outputOf(first), outputOf(second), outputOf(second)];
  runGuardedInto(test, first.plan(first.task), [input], between);
  runGuardedInto(test, second.plan(second.task), [between], expected);
  const plan = planStrips(first, second, options);
  runGuardedInto(test, plan, [input], found);
  assert.deepEqual(found, expected, `${test.name} ${what}`);
  assert.equal(plan.flops, first.plan(first.task).flops + second.plan(second.task).flops);
  return Math.max(...plan.steps.flat().map((tile) => callsOf(tile).length));
}

/** Strips of one row, of a few, and of all rows. */
const cuts: readonly StripOptions[] = [
  { tiles: 1, stripBytes: 1 },
  { tiles: 2, stripBytes: 2 ** 12 },
  { tiles: 3, stripBytes: 2 ** 13 },
  { tiles: 5, stripBytes: 2 ** 20 },
];

const stem = { kernel: 3, stride: 2 } as const;
const cases: readonly Case[] = [
  ...[1, 2, 3, 4, 5, 8, 13, 30].map(
    (size): Case => ({ input: [1, size, size + 2, 3], channels: 17, first: stem, second: stem }),
  ),
  ...[1, 2, 3].flatMap((stride) =>
    [1, 2, 4].map(
      (dilation): Case => ({
        input: [1, 23, 11, 3],
        channels: 16,
        first: { kernel: 3 },
        second: { kernel: 3, stride, dilation },
      }),
    ),
  ),
  { input: [1, 22, 9, 5], channels: 33, first: { kernel: 5, dilation: 2 }, second: { kernel: 5 } },
  { input: [1, 20, 9, 4], channels: 12, first: { kernel: 3, padding: 0 }, second: { kernel: 3, padding: 0 } },
  {
    input: [1, 19, 9, 4],
    channels: 12,
    first: { kernel: 3, padding: [2, 1, 0, 1] },
    second: { kernel: 3, padding: [0, 1, 2, 1] },
  },
  ...[1, 2].map(
    (stride): Case => ({
      input: [1, 37, 3, 24],
      channels: 100,
      first: { kernel: 1 },
      second: { kernel: 3, stride },
    }),
  ),
  // The second leaves out rows of the first.
  { input: [1, 20, 9, 4], channels: 8, first: { kernel: 3 }, second: { kernel: 1, stride: 3 } },
  { input: [1, 14, 9, 20], channels: 20, first: { kernel: 3, groups: 20 }, second: stem },
  // Several pictures.
  { input: [3, 9, 7, 3], channels: 16, first: stem, second: { kernel: 3 } },
  {
    input: [2, 14, 9, 20],
    channels: 20,
    first: { kernel: 3, groups: 20 },
    second: { kernel: 1 },
    outChannels: 40,
  },
  // As blocks of nets are: depthwise, then pointwise.
  ...[1, 2].flatMap((stride) =>
    [15, 64, 130].map(
      (outChannels): Case => ({
        input: [1, 29, 14, 48],
        channels: 48,
        first: { kernel: 3, stride, groups: 48 },
        second: { kernel: 1 },
        outChannels,
      }),
    ),
  ),
  { input: [1, 14, 9, 20], channels: 40, first: { kernel: 3, groups: 4 }, second: { kernel: [3, 5] } },
];

function randomCase(random: Random): Case {
  const size = (): GeometryOptions => {
    const kernel = 1 + 2 * random.integer(3);
    return { kernel, stride: 1 + random.integer(3), dilation: 1 + random.integer(2) };
  };
  const input = [
    1 + random.integer(2),
    1 + random.integer(40),
    1 + random.integer(12),
    1 + random.integer(6),
  ];
  return { input, channels: 1 + random.integer(40), first: size(), second: size() };
}

for (const each of await allMachines()) {
  const bf16 = each.name.startsWith('avx512') && !each.name.includes('without bf16');
  describe(`strips on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;

    it('f32', () => {
      const random = createRandom(3);
      let most = 0;
      for (const one of cases)
        for (const options of cuts) {
          const [first, second] = makePair(random, one);
          assert.ok(canRunInStrips(first, second));
          const stage = f32Stage(each.make());
          most = Math.max(most, check(each.make(), [stage(first), stage(second)], options, random));
        }
      assert.ok(most > 20);
    });

    it('random pairs', () => {
      const random = createRandom(4);
      let checked = 0;
      for (let i = 0; i < 60; i++) {
        const one = randomCase(random);
        const options = { tiles: 1 + random.integer(4), stripBytes: 2 ** (8 + random.integer(8)) };
        const [first, second] = makePair(random, one);
        if (!canRunInStrips(first, second)) continue;
        const stage = f32Stage(each.make());
        check(each.make(), [stage(first), stage(second)], options, random);
        checked++;
      }
      assert.ok(checked > 30);
    });

    it('bf16', { skip: bf16 ? false : 'no bf16 products here' }, () => {
      const random = createRandom(5);
      const dense = cases.filter(({ first }) => first.groups === undefined);
      for (const one of dense)
        for (const options of cuts) {
          const [first, second] = makePair(random, one);
          const stage = bf16Stage(each.make());
          check(each.make(), [stage(first), stage(second)], options, random);
        }
      assert.ok(dense.length > 10);
    });
  });
}

it('residuals and windows within the padding are not cut', () => {
  const random = createRandom(6);
  const one: Case = { input: [1, 9, 9, 3], channels: 8, first: stem, second: stem };
  const [first, second] = makePair(random, one);
  assert.ok(canRunInStrips(first, second));
  assert.ok(!canRunInStrips(first, { ...second, residual: true }));
  const padded = makePair(random, { ...one, second: { kernel: 3, padding: 5 } });
  assert.ok(!canRunInStrips(...padded));
});
