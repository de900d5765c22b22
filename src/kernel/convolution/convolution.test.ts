/** Every convolution row on every machine here, against a direct convolution in f64. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConvCase, convCaseTask } from '../../../test/support/conv-case.ts';
import { type GuardedFloats, guardedFloats } from '../../../test/support/guarded-floats.ts';
import { assertOneCodePerName } from '../../../test/support/kernel-names.ts';
import { allMachines, type TestMachine } from '../../../test/support/machines.ts';
import { loadPlan } from '../../../test/support/run-plan.ts';
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { x64Target } from '../../assembler/x64/x64-target.ts';
import { convolve } from '../../engine/reference/convolution.ts';
import { type ActivationName, activations } from '../../graph/activations.ts';
import type { GeometryOptions } from '../../graph/geometry.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { panelTiles } from '../product/panel-tiles.ts';
import { type AnyConvTask, type ConvTask, convSizes } from './convolution-row.ts';
import { convolutionRow, convolutionRows } from './convolution-task.ts';
import { planDepthwise } from './depthwise/depthwise.ts';
import { depthwiseTileSizes } from './depthwise/depthwise-tiles.ts';
import { planPointwise } from './pointwise.ts';

function randomFloats(random: Random, length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => random.normal());
}

function makeTask(random: Random, each: ConvCase): ConvTask {
  return convCaseTask(each, (length, scale) => randomFloats(random, length).map((x) => x * scale));
}

/** Sums of k products of about 1/√k each: |y − reference| ≤ 4·eps·(1 + √k)·(1 + |reference|). */
function assertClose(actual: Float32Array, expected: Float64Array, steps: number, what: string): void {
  const eps = 2 ** -23;
  for (const [i, reference] of expected.entries()) {
    const difference = Math.abs((actual[i] ?? Number.NaN) - reference);
    const allowed = 4 * eps * (1 + Math.sqrt(steps)) * (1 + Math.abs(reference));
    assert.ok(difference <= allowed, `${what}: output ${i} is ${actual[i]}, expected ${reference}`);
  }
}

type Plan = (target: VectorTarget, task: AnyConvTask) => TaskPlan;

/** A case with weights that are known, and with the same ones computed: the results are the same bits. */
function runCase(test: TestMachine, plan: Plan, random: Random, each: ConvCase, about = ''): void {
  const task = makeTask(random, each);
  const sizes = convSizes(task);
  const outShape = [sizes.images, sizes.outHeight, sizes.outWidth, sizes.outChannels];
  const what = `${test.name} ${about} ${JSON.stringify(each)}`;
  const input = guardedFloats(test, elementCount(task.input));
  const residual = guardedFloats(test, task.residual ? elementCount(outShape) : 0);
  const output = guardedFloats(test, elementCount(outShape));
  input.floats.set(randomFloats(random, input.floats.length));
  residual.floats.set(randomFloats(random, residual.floats.length));
  const x: Tensor = { shape: task.input, data: input.floats };
  const expected = { shape: outShape, data: new Float64Array(elementCount(outShape)) };
  convolve(x, task.weight, task.bias, task.geometry, expected);
  const value = task.activation === null ? (v: number): number => v : activations[task.activation].value;
  for (const [i, sum] of expected.data.entries()) expected.data[i] = value(sum + (residual.floats[i] ?? 0));
  const constants: GuardedFloats[] = [];
  const runnable = loadPlan(
    test.machine,
    plan(test.machine.target, task),
    { inputs: [input.area, residual.area], output: output.area },
    (bytes) => {
      const constant = guardedFloats(test, bytes / 4);
      constants.push(constant);
      return constant.area;
    },
  );
  runnable.run();
  assertClose(output.floats, expected.data, sizes.macs / elementCount(outShape), what);
  const found = output.floats.slice();
  const operands = computedOperands(test, task);
  output.floats.fill(Number.NaN);
  const computed = loadPlan(test.machine, plan(test.machine.target, operands.task), {
    inputs: [input.area, residual.area, ...operands.tensors.map(({ area }) => area)],
    output: output.area,
  });
  computed.run();
  assert.deepEqual(output.floats, found, `${what} computed`);
  const all = [input, residual, output, ...constants, ...operands.tensors];
  for (const each of all) each.check(what);
  runnable.free();
  computed.free();
  for (const each of all) each.free();
}

/** Weights in buffers `input2` and `input3`. */
function computedOperands(test: TestMachine, { weight, bias, ...task }: ConvTask) {
  const tensors = [weight, ...(bias ? [bias] : [])].map(({ data }) => {
    const floats = guardedFloats(test, data.length);
    floats.floats.set(data);
    return floats;
  });
  const computed: AnyConvTask = {
    ...task,
    weight: { shape: weight.shape, buffer: 'input2' },
    bias: bias && { shape: bias.shape, buffer: 'input3' },
  };
  return { task: computed, tensors };
}

/** Positions and channels below, at and above what tiles of all targets hold. */
const pointwiseCases: readonly ConvCase[] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 17, 28, 29, 49].map(
    (rows): ConvCase => ({ input: [1, 1, rows, 5], outChannels: 33, geometry: { kernel: 1 } }),
  ),
  ...[1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 31, 32, 47, 48, 63, 64, 65, 80, 96, 97, 128, 129].map(
    (outChannels): ConvCase => ({ input: [1, 3, 5, 7], outChannels, geometry: { kernel: 1 } }),
  ),
  ...[1, 2, 3, 4, 5, 8, 31, 64, 129].map(
    (channels): ConvCase => ({ input: [2, 3, 3, channels], outChannels: 40, geometry: { kernel: 1 } }),
  ),
  { input: [3, 28, 14, 64], outChannels: 100, geometry: { kernel: 1 }, residual: true, activation: 'relu' },
  { input: [1, 7, 7, 256], outChannels: 320, geometry: { kernel: 1 }, activation: 'relu' },
  { input: [1, 28, 28, 128], outChannels: 128, geometry: { kernel: 1 } },
  { input: [1, 1, 1, 600], outChannels: 1000, geometry: { kernel: 1 } },
];

const square = (size: number): readonly [number, number] => [size, size];

const depthwiseGeometries: readonly Omit<GeometryOptions, 'groups'>[] = [
  ...[1, 3, 5, 7].flatMap((kernel) => [1, 2, 3].map((stride) => ({ kernel, stride }))),
  { kernel: [3, 5], stride: [2, 1] },
  { kernel: 3, dilation: 2 },
  { kernel: 3, dilation: 4, stride: 2 },
  { kernel: 3, padding: [0, 1, 2, 0] },
  { kernel: 3, padding: 0 },
  { kernel: 5, padding: [4, 0, 0, 3], stride: 3 },
  { kernel: 3, padding: 5 },
];

const depthwiseCases: readonly ConvCase[] = [
  ...depthwiseGeometries.flatMap((geometry) =>
    [17, 21].map(
      (channels): ConvCase => ({
        input: [1, 9, 11, channels],
        outChannels: channels,
        geometry: { ...geometry, groups: channels },
      }),
    ),
  ),
  ...[1, 3, 4, 8, 15, 16, 32, 33, 48].map(
    (channels): ConvCase => ({
      input: [2, 5, 6, channels],
      outChannels: channels,
      geometry: { kernel: 3, groups: channels },
      residual: true,
      activation: 'relu',
    }),
  ),
  ...[1, 2, 3, 7, 8, 13, 14, 15, 16, 17, 29].map(
    (size): ConvCase => ({
      input: [1, size, size + 1, 16],
      outChannels: 16,
      geometry: { kernel: 3, groups: 16, stride: size % 3 === 0 ? 2 : 1 },
    }),
  ),
];

const directCases: readonly ConvCase[] = [
  ...depthwiseGeometries.map(
    (geometry): ConvCase => ({ input: [1, 9, 11, 5], outChannels: 19, geometry, residual: true }),
  ),
  ...[1, 2, 3, 4, 7, 8, 9, 14, 15, 16, 30].map(
    (size): ConvCase => ({ input: [1, size, size, 3], outChannels: 48, geometry: { kernel: 3, stride: 2 } }),
  ),
  { input: [2, 8, 8, 12], outChannels: 24, geometry: { kernel: 3, groups: 3 }, activation: 'relu' },
  { input: [1, 6, 7, 10], outChannels: 30, geometry: { kernel: 3, groups: 10, stride: 2 } },
  { input: [1, 6, 5, 34], outChannels: 34, geometry: { kernel: square(3), groups: 2, dilation: 2 } },
  { input: [1, 7, 7, 64], outChannels: 65, geometry: { kernel: 3, dilation: 6, padding: 6 } },
  { input: [1, 12, 12, 32], outChannels: 96, geometry: { kernel: 3 }, activation: 'relu' },
  { input: [3, 5, 5, 7], outChannels: 9, geometry: { kernel: 1, stride: 2 }, bias: false },
  { input: [1, 4, 4, 6], outChannels: 8, geometry: { kernel: 1, padding: 1 } },
];

const names = Object.keys(activations) as readonly ActivationName[];
const epilogues = [...names, undefined].flatMap((activation) =>
  [false, true].map((residual) => ({ residual, bias: residual, ...(activation ? { activation } : {}) })),
);

const rowCases: Readonly<Record<string, readonly ConvCase[]>> = {
  pointwise: [
    ...pointwiseCases,
    ...epilogues.map(
      (e): ConvCase => ({ input: [1, 5, 6, 9], outChannels: 41, geometry: { kernel: 1 }, ...e }),
    ),
  ],
  depthwise: [
    ...depthwiseCases,
    ...epilogues.map(
      (e): ConvCase => ({ input: [1, 6, 9, 21], outChannels: 21, geometry: { kernel: 3, groups: 21 }, ...e }),
    ),
  ],
  direct: [
    ...directCases,
    ...pointwiseCases.slice(0, 8),
    ...depthwiseCases.slice(0, 6),
    ...epilogues.map(
      (e): ConvCase => ({ input: [1, 6, 9, 4], outChannels: 37, geometry: { kernel: 3 }, ...e }),
    ),
  ],
};

/** Rows of positions and vectors of channels that leave a rest for most tiles. */
const tileCases: readonly ConvCase[] = [
  { input: [1, 1, 29, 6], outChannels: 83, geometry: { kernel: 1 }, residual: true, activation: 'silu' },
];
const depthwiseTileCases: readonly ConvCase[] = [3, 5].flatMap((kernel) =>
  [1, 2].map(
    (stride): ConvCase => ({
      input: [1, 10, 11, 37],
      outChannels: 37,
      geometry: { kernel, stride, groups: 37 },
      residual: true,
      activation: 'silu',
    }),
  ),
);

/** Results of 2 MiB, one for each row. */
const largeCases: readonly ConvCase[] = [
  { input: [2, 128, 128, 16], outChannels: 16, geometry: { kernel: 3, groups: 16 } },
  { input: [2, 128, 128, 32], outChannels: 16, geometry: { kernel: 1 }, activation: 'relu' },
  { input: [8, 128, 128, 3], outChannels: 16, geometry: { kernel: 3, stride: 2 } },
];

/** The f32 code of AVX-512 is the same with and without bf16. */
const machines = (await allMachines()).filter(({ name }) => !name.includes('without'));

for (const each of machines) {
  describe(`convolution on ${each.name}`, { skip: each.skip }, () => {
    if (each.skip !== false) return;
    for (const row of convolutionRows) {
      it(row.name, () => {
        const cases = rowCases[row.name] ?? [];
        assert.ok(cases.length > 0, `no cases for row ${row.name}`);
        const random = createRandom(7);
        for (const one of cases) runCase(each.make(), row.plan, random, one, row.name);
      });
    }

    it('large results are written past the caches', () => {
      // The memory of other machines here is too small.
      if (each.make().machine.kind !== 'native') return;
      const random = createRandom(10);
      for (const one of largeCases) {
        const plan: Plan = (target, task) => {
          const made = convolutionRow(task).plan(target, task);
          assert.ok(made.steps.flat().some(({ kernel }) => kernel.name.includes('_past')));
          return made;
        };
        runCase(each.make(), plan, random, one, 'large');
      }
    });

    it('pointwise, every tile that the target could choose', () => {
      const random = createRandom(8);
      for (const one of tileCases) {
        const { lanes } = each.make().machine.target;
        const problem = { positions: 29, vectors: Math.ceil(one.outChannels / lanes), steps: 6 };
        const tiles = panelTiles(each.make().machine.target, problem);
        assert.ok(tiles.length > 6);
        for (const tile of tiles)
          runCase(each.make(), (t, task) => planPointwise(t, task, tile), random, one, JSON.stringify(tile));
      }
    });

    it('depthwise, every tile that the target could choose', () => {
      const random = createRandom(9);
      for (const one of depthwiseTileCases) {
        const tiles = depthwiseTileSizes(each.make().machine.target, makeTask(random, one).geometry.kernel);
        assert.ok(tiles.length > 0);
        for (const tile of tiles)
          runCase(each.make(), (t, task) => planDepthwise(t, task, tile), random, one, JSON.stringify(tile));
      }
    });
  });
}

it('kernels of one name have one code', () => {
  const target = x64Target({ avx2: true, avx512: false, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  const random = createRandom(2);
  assertOneCodePerName(
    convolutionRows.flatMap((row) =>
      (rowCases[row.name] ?? []).map((one) => [target, row.plan(target, makeTask(random, one))] as const),
    ),
    100,
  );
});

it('each row is what dispatch takes for its own kind', () => {
  const random = createRandom(1);
  const rowOf = (one: ConvCase): string => convolutionRow(makeTask(random, one)).name;
  assert.equal(rowOf({ input: [1, 4, 4, 8], outChannels: 9, geometry: { kernel: 1 } }), 'pointwise');
  assert.equal(
    rowOf({ input: [1, 4, 4, 8], outChannels: 8, geometry: { kernel: 3, groups: 8 } }),
    'depthwise',
  );
  assert.equal(rowOf({ input: [1, 4, 4, 8], outChannels: 9, geometry: { kernel: 3 } }), 'direct');
  assert.equal(rowOf({ input: [1, 4, 4, 8], outChannels: 9, geometry: { kernel: 1, stride: 2 } }), 'direct');
  assert.equal(rowOf({ input: [1, 4, 4, 8], outChannels: 16, geometry: { kernel: 3, groups: 8 } }), 'direct');
});
