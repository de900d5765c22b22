/** What a session of the CPU engine promises, whatever the target. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Session } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import { activationLayer, convLayer, linearLayer } from '../src/graph/layers.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { createRandom } from '../src/tensor/random.ts';
import { tensor, zeros } from '../src/tensor/tensor.ts';
import { engine, pool } from './support/cpu.ts';

const random = createRandom(11);

after(() => pool.dispose());

describe('a session of engine cpu', () => {
  const b = graphBuilder('small');
  const x = b.input('x', [1, 4, 4, 3]);
  const conv = convLayer(b, 'conv', x, 5, convGeometry({ kernel: 3 }), { bias: true });
  const relu = activationLayer(b, 'relu', conv, 'relu');
  b.output('y', relu);
  b.output('same', relu);
  b.output('input', x);
  const graph = b.finish();
  const weights = initialWeights(graph, 'timm', 1);
  const input = {
    x: { shape: [1, 4, 4, 3], data: Float32Array.from({ length: 48 }, () => random.normal()) },
  };

  const sessions = async (use: (session: Session) => void | Promise<void>): Promise<void> => {
    for (const threads of [1, 2]) {
      const session = await engine.compile(graph, weights, { threads });
      await use(session);
      session.dispose();
    }
  };

  test('gives fresh tensors, or those it is handed', () =>
    sessions(async (session) => {
      const first = await session.run(input);
      const copy = first.y?.data.slice();
      const own = zeros([1, 4, 4, 5]);
      const second = await session.run(input, { y: own });
      assert.equal(second.y, own);
      assert.notEqual(second.same, own);
      assert.notEqual(first.y, first.same);
      assert.deepEqual([own.data, second.same?.data, first.y?.data], [copy, copy, copy]);
      assert.deepEqual(second.input?.data, input.x.data);
    }));

  test('takes f64 inputs, keeps NaN, and forgets it', () =>
    sessions(async (session) => {
      const y = (await session.run(input)).y?.data;
      const wide = { x: { shape: input.x.shape, data: Float64Array.from(input.x.data) } };
      assert.deepEqual((await session.run(wide)).y?.data, y);
      const spoilt = { x: { shape: input.x.shape, data: new Float32Array(48).fill(Number.NaN) } };
      assert.ok((await session.run(spoilt)).y?.data.every(Number.isNaN));
      assert.deepEqual((await session.run(input)).y?.data, y);
    }));

  test('refuses what does not fit, naming it', () =>
    sessions((session) => {
      const bad = (inputs: unknown, message: RegExp): void => {
        assert.throws(() => session.runSync?.(inputs as never), message);
      };
      bad({}, /input "x" must be \[1,4,4,3\], found no tensor/);
      bad({ x: zeros([1, 4, 4, 4]) }, /found \[1,4,4,4\]/);
      bad({ x: zeros([1, 4, 4, 3]), z: zeros([1]) }, /has no input "z"; its inputs are x/);
      bad({ x: { shape: [1, 4, 4, 3], data: new Float32Array(3) } }, /needs 48 numbers.*found 3/);
      bad({ x: { shape: [1, 4, 4, 3], data: [1, 2, 3] } }, /found other data/);
      bad(null, /must be an object of tensors/);
      assert.throws(() => session.runSync?.(input, { q: zeros([1]) }), /has no output "q"/);
      assert.throws(
        () => session.runSync?.(input, { y: tensor([1, 4, 4, 5], new Float64Array(80)) }),
        /in a Float32Array/,
      );
    }));

  test('refuses to run once disposed; disposing twice is nothing', () =>
    sessions(async (session) => {
      session.dispose();
      session.dispose();
      await assert.rejects(session.run(input), /was disposed; compile it again/);
    }));

  test('several at once, in turn and overlapping', async () => {
    const all = await Promise.all(
      [1, 2, 3, 2, 1].map((threads) => engine.compile(graph, weights, { threads })),
    );
    const expected = (await all[0]?.run(input))?.y?.data;
    for (let round = 0; round < 50; round++)
      for (const { y } of await Promise.all(all.map((session) => session.run(input))))
        assert.deepEqual(y?.data, expected);
    for (const session of all) session.dispose();
  });

  test('profile names every task', async () => {
    for (const threads of [1, 2]) {
      const session = await engine.compile(graph, weights, { threads, profile: true });
      const plain = await engine.compile(graph, weights, { threads: 1 });
      const expected = await plain.run(input);
      for (let i = 0; i < 3; i++) assert.deepEqual((await session.run(input)).y, expected.y);
      const profile = session.profile?.() ?? [];
      assert.deepEqual(
        profile.map(({ name, ops, runs }) => ({ name, ops, runs })),
        [{ name: 'relu', ops: 'conv2d+relu', runs: 3 }],
      );
      assert.ok((profile[0]?.milliseconds ?? 0) > 0 && (profile[0]?.flops ?? 0) > 0);
      session.dispose();
      plain.dispose();
    }
  });

  test('compile refuses other options, saying what there is', async () => {
    const bad = (options: object, message: RegExp) =>
      assert.rejects(engine.compile(graph, weights, options), message);
    await bad({ target: 'sse9' }, /target "sse9" is not to be had here; there is .*wasm/);
    await bad({ precision: 'f64' }, /precision must be "f32"/);
    for (const threads of [0, -1, 1.5, 1e9, Number.NaN])
      await bad({ threads }, /threads must be "auto" or an integer from 1 to 64/);
    await assert.rejects(engine.compile(graph, new Map(), {}), /"conv.weight" \[5,3,3,3\] is missing/);
  });
});

describe('parameters at the edges', () => {
  test('a parameter that is an output itself, and that no task reads', async () => {
    const b = graphBuilder('parameter out');
    const x = b.input('x', [2, 3]);
    const weight = b.parameter('w', [4], 'weight');
    b.output('y', b.node('activation', 'y', { fn: 'relu' }, [x]));
    b.output('w', weight);
    const weights = new Map([['w', tensor([4], Float32Array.of(1, -2, 3, -4))]]);
    for (const each of [engine, referenceEngine]) {
      const session = await each.compile(b.finish(), weights);
      const { y, w } = await session.run({ x: tensor([2, 3], Float32Array.of(-1, 2, -3, 4, -5, 6)) });
      session.dispose();
      assert.deepEqual([...(y?.data ?? [])], [0, 2, 0, 4, 0, 6]);
      assert.deepEqual([...(w?.data ?? [])], [1, -2, 3, -4]);
    }
  });

  test('weights whose memory was transferred away are refused by name', async () => {
    const b = graphBuilder('detached');
    const x = b.input('x', [1, 3]);
    b.output('y', linearLayer(b, 'head', x, 2));
    const data = new Float32Array(6);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    const weights = new Map([
      ['head.weight', { shape: [2, 3], data }],
      ['head.bias', tensor([2], new Float32Array(2))],
    ]);
    for (const each of [engine, referenceEngine])
      await assert.rejects(
        each.compile(b.finish(), weights),
        /"head\.weight" \[2,3\] needs 6 values, but its data has 0/,
      );
  });
});
