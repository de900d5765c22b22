/** Every kernel beside the convolutions, on every machine here, against plain loops in f64. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { runGuarded } from '../../test/support/guarded-plan.ts';
import { allMachines, type TestMachine } from '../../test/support/machines.ts';
import { globalAverage, pool, resize } from '../engine/reference/window.ts';
import { type ActivationName, activations } from '../graph/activations.ts';
import { convGeometry, type GeometryOptions, windowOutputSize } from '../graph/geometry.ts';
import { createRandom, type Random } from '../tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../tensor/tensor.ts';
import { planConcat } from './copy/concat.ts';
import { type ElementwiseLink, elementwiseInPlace, planElementwise } from './elementwise/elementwise.ts';
import { planSoftmax } from './loss/softmax.ts';
import { planPool2d } from './pool/pool2d.ts';
import { planResizeBilinear } from './pool/resize-bilinear.ts';
import { planGlobalAveragePool } from './pool/spatial-sum.ts';

const EPSILON = 2 ** -23;

function randomFloats(random: Random, length: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, () => scale * random.normal());
}

function wide(shape: Shape): Tensor<Float64Array> {
  return { shape, data: new Float64Array(elementCount(shape)) };
}

/** |a − e| ≤ units·ε·(|e| + floor); NaN and infinities must be the same. */
function assertClose(
  actual: Float32Array,
  expected: ArrayLike<number>,
  units: number,
  what: string,
  floor = 1,
): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < actual.length; i++) {
    const [a, e] = [actual[i] ?? 0, expected[i] ?? 0];
    if (Object.is(a, e) || a === e) continue;
    const allowed = units * EPSILON * (Math.abs(e) + floor);
    assert.ok(Math.abs(a - e) <= allowed, `${what}: element ${i} is ${a}, expected ${e}`);
  }
}

const channelCounts = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 63, 64, 65, 67, 131];

function linkOf(kind: ElementwiseLink['kind'], random: Random, channels: number): ElementwiseLink {
  if (kind === 'activation') return { kind, fn: 'hardSwish' };
  if (kind === 'derivative') return { kind, fn: 'silu', input: 1 };
  if (kind === 'scale') return { kind, factor: -0.375 };
  if (kind === 'norm') return { kind, inputs: [1, 2, 3, 4], eps: 0.25 };
  if (kind !== 'affine') return { kind, input: 1 };
  return { kind, scale: randomFloats(random, channels), shift: randomFloats(random, channels) };
}

/** The chain in f64. */
function chain(shape: Shape, links: readonly ElementwiseLink[], inputs: readonly Float32Array[]): number[] {
  const channels = shape.at(-1) ?? 1;
  const image = elementCount(shape) / (shape[0] ?? 1);
  return Array.from(inputs[0] ?? [], (x, i) => {
    let value = x;
    for (const link of links) {
      const c = i % channels;
      if (link.kind === 'activation') value = activations[link.fn].value(value);
      else if (link.kind === 'scale') value *= link.factor;
      else if (link.kind === 'affine') value = value * (link.scale[c] ?? 0) + (link.shift[c] ?? 0);
      else if (link.kind === 'norm') {
        const [gamma = 0, beta = 0, mean = 0, variance = 0] = link.inputs.map((n) => inputs[n]?.[c] ?? 0);
        value = ((value - mean) * gamma) / Math.sqrt(variance + link.eps) + beta;
      } else {
        const operand = inputs[link.input] ?? [];
        const other = operand[link.kind === 'gate' ? Math.floor(i / image) * channels + c : i] ?? 0;
        if (link.kind === 'derivative') value *= activations[link.fn].derivative(other);
        else value = link.kind === 'add' ? value + other : value * other;
      }
    }
    return value;
  });
}

function checkChain(
  test: TestMachine,
  shape: Shape,
  links: readonly ElementwiseLink[],
  random: Random,
  over?: number,
): void {
  const count = elementCount(shape);
  const channels = shape.at(-1) ?? 1;
  const operands = links.flatMap((link) => {
    if (link.kind === 'norm') return link.inputs.map(() => randomFloats(random, channels).map(Math.abs));
    if (!('input' in link)) return [];
    return [randomFloats(random, link.kind === 'gate' ? (shape[0] ?? 1) * channels : count)];
  });
  const inputs = [randomFloats(random, count, 2), ...operands];
  const plan = planElementwise(test.machine.target, { shape, links });
  const actual = runGuarded(test, plan, inputs, count, over);
  const what = `${test.name} ${links.map((link) => link.kind).join('+')} [${shape.join(',')}] over ${over}`;
  assertClose(actual, chain(shape, links, inputs), 8 * (links.length + 1), what, 4);
}

const kinds = ['add', 'multiply', 'gate', 'affine', 'norm', 'activation', 'derivative', 'scale'] as const;

const geometries: readonly (GeometryOptions & { readonly size: readonly [number, number] })[] = [
  { kernel: 1, size: [3, 4] },
  { kernel: 2, stride: 2, padding: 0, size: [6, 7] },
  { kernel: 3, stride: 2, size: [7, 8] },
  { kernel: 3, padding: 2, size: [2, 3] },
  { kernel: [3, 2], stride: [1, 3], dilation: [2, 3], padding: [2, 1], size: [9, 8] },
  { kernel: 5, padding: [4, 0, 1, 3], size: [5, 5] },
];

for (const maybe of await allMachines()) {
  describe(`kernels beside convolutions on ${maybe.name}`, { skip: maybe.skip }, () => {
    let test: TestMachine;
    beforeEach(() => {
      if (maybe.skip === false) test = maybe.make();
    });
    afterEach(() => test?.machine.dispose());

    it('every link of a chain at every width, over each input it may overwrite', () => {
      const random = createRandom(1);
      for (const kind of kinds)
        for (const channels of channelCounts) {
          const links = [linkOf(kind, random, channels)];
          checkChain(test, [2, 3, 2, channels], links, random);
          for (const over of elementwiseInPlace(links))
            checkChain(test, [1, 1, 3, channels], links, random, over);
        }
    });

    it('long chains, tiles of two sizes, more operands than registers', () => {
      const random = createRandom(2);
      const sum = (count: number): ElementwiseLink[] =>
        Array.from({ length: count }, (_, i) => ({ kind: 'add', input: i + 1 }));
      for (const count of [2, 5, 6, 7, 8, 9, 20]) {
        checkChain(test, [1, 3, 3, 5], sum(count), random);
        for (const over of elementwiseInPlace(sum(count)))
          checkChain(test, [1, 3, 3, 5], sum(count), random, over);
      }
      const mixed: ElementwiseLink[] = [
        linkOf('affine', random, 19),
        { kind: 'gate', input: 1 },
        { kind: 'add', input: 2 },
        { kind: 'activation', fn: 'relu' },
        { kind: 'multiply', input: 3 },
        { kind: 'norm', inputs: [4, 5, 6, 7], eps: 1e-3 },
        { kind: 'norm', inputs: [8, 9, 10, 11], eps: 1e-5 },
      ];
      checkChain(test, [3, 2, 5, 19], mixed, random);
      checkChain(test, [1, 29, 31, 19], mixed, random);
      checkChain(
        test,
        [2, 4099],
        [
          { kind: 'activation', fn: 'relu6' },
          { kind: 'add', input: 1 },
        ],
        random,
      );
    });

    it('activations to a few units in the last place, NaN kept', () => {
      const values = Float32Array.from([
        ...Array.from({ length: 2001 }, (_, i) => (i - 1000) / 10),
        ...[0, -0, 3, -3, 6, 1e-30, -1e-30, 1e3, -1e3, Number.NaN],
      ]);
      for (const name of Object.keys(activations) as ActivationName[]) {
        const links = [{ kind: 'activation', fn: name }] as const;
        const plan = planElementwise(test.machine.target, { shape: [values.length], links });
        const actual = runGuarded(test, plan, [values], values.length);
        const expected = Array.from(values, (value) => activations[name].value(value));
        assertClose(actual, expected, 6, `${test.name} ${name}`, 1e-3);
      }
    });

    it('global average pool as f64 would round it', () => {
      const random = createRandom(3);
      for (const channels of channelCounts)
        for (const [height, width] of [
          [1, 1],
          [7, 7],
          [5, 13],
        ] as const)
          check([2, height, width, channels]);
      check([1, 112, 112, 5]);
      function check(shape: Shape): void {
        const x = { shape, data: randomFloats(random, elementCount(shape)).map((value) => value + 3) };
        const y = wide([shape[0] ?? 1, 1, 1, shape[3] ?? 1]);
        globalAverage(x, y);
        const plan = planGlobalAveragePool(test.machine.target, shape);
        const actual = runGuarded(test, plan, [x.data], y.data.length);
        assertClose(actual, y.data, 4, `${test.name} mean of [${shape.join(',')}]`);
      }
    });

    it('window pools: every cut of the window, NaN kept', () => {
      const random = createRandom(4);
      for (const [i, { size, ...options }] of geometries.entries())
        for (const channels of [1, 3, 8, 17, 40, 67])
          for (const mode of ['max', 'average'] as const)
            for (const countPadding of [false, true]) {
              const window = convGeometry(options);
              const shape = [1 + (i % 2), ...size, channels];
              const x = { shape, data: randomFloats(random, elementCount(shape)) };
              if (mode === 'max') x.data[channels] = Number.NaN;
              const y = wide([shape[0] ?? 1, ...windowOutputSize(window, ...size), channels]);
              pool(x, { mode, window, countPadding }, y);
              const task = { input: shape, mode, window, countPadding };
              const actual = runGuarded(test, planPool2d(test.machine.target, task), [x.data], y.data.length);
              assertClose(actual, y.data, 8, `${test.name} ${mode} pool ${i}, ${channels} channels`);
            }
    });

    it('softmax to 1e-6 of each probability and the rounding of its exponent, in place too', () => {
      const random = createRandom(5);
      for (const length of [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000])
        for (const scale of [1, 30]) {
          const rows = length > 100 ? 3 : 40;
          const x = randomFloats(random, rows * length, scale);
          const expected = Array.from({ length: rows }, (_, row) => {
            const values = x.slice(row * length, (row + 1) * length);
            const most = Math.max(...values);
            const total = values.reduce((sum, value) => sum + Math.exp(value - most), 0);
            return Array.from(values, (value) => ({
              value: Math.exp(value - most) / total,
              // x − max is rounded to f32 before the exponential.
              relative: 1e-6 + (EPSILON / 2) * (scale === 1 ? 0 : most - value),
            }));
          }).flat();
          const plan = planSoftmax(test.machine.target, [rows, length]);
          for (const over of [undefined, 0]) {
            const actual = runGuarded(test, plan, [x], x.length, over);
            actual.forEach((value, i) => {
              const want = expected[i] ?? assert.fail();
              const error = Math.abs(value - want.value);
              assert.ok(error <= want.relative * want.value + 1e-37, `${test.name} softmax ${length}: ${i}`);
            });
          }
        }
      const spoilt = runGuarded(
        test,
        planSoftmax(test.machine.target, [2, 5]),
        [Float32Array.of(1, 2, Number.NaN, 3, 4, 1, 1, 1, 1, 1)],
        10,
      );
      assert.ok(spoilt.slice(0, 5).every(Number.isNaN));
      assertClose(spoilt.slice(5), [0.2, 0.2, 0.2, 0.2, 0.2], 2, 'softmax of equals');
    });

    it('bilinear resize in both conventions', () => {
      const random = createRandom(6);
      for (const [from, to] of [
        [
          [3, 4],
          [3, 4],
        ],
        [
          [1, 1],
          [3, 5],
        ],
        [
          [2, 3],
          [7, 8],
        ],
        [
          [7, 9],
          [3, 1],
        ],
      ] as const)
        for (const channels of [1, 3, 8, 17, 40, 67])
          for (const alignCorners of [false, true]) {
            const shape = [2, ...from, channels];
            const x = { shape, data: randomFloats(random, elementCount(shape)) };
            const [height, width] = to;
            const y = wide([2, height, width, channels]);
            resize(x, alignCorners, y);
            const plan = planResizeBilinear(test.machine.target, {
              input: shape,
              height,
              width,
              alignCorners,
            });
            const actual = runGuarded(test, plan, [x.data], y.data.length);
            assertClose(actual, y.data, 8, `${test.name} resize ${from}→${to}, ${channels} channels`);
          }
    });

    it('concat', () => {
      const random = createRandom(7);
      for (const widths of [[1], [3, 5], [16, 1, 67], [8, 8, 8, 8, 5], [130, 64]])
        for (const rows of [1, 6, 300]) {
          const shapes = widths.map((width) => [1, rows, 1, width]);
          const inputs = shapes.map((shape) => randomFloats(random, elementCount(shape)));
          const total = widths.reduce((sum, width) => sum + width, 0);
          const expected = Array.from({ length: rows }, (_, row) =>
            inputs.flatMap((input, i) => [
              ...input.subarray(row * (widths[i] ?? 0), (row + 1) * (widths[i] ?? 0)),
            ]),
          ).flat();
          const plan = planConcat(test.machine.target, shapes);
          const actual = runGuarded(test, plan, inputs, rows * total);
          assert.deepEqual([...actual], expected, `${test.name} concat ${widths} × ${rows}`);
        }
    });
  });
}
