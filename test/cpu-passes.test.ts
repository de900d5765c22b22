/** Batches that are computed in passes of a few pictures, against the reference and against pictures alone. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { passGraph } from '../src/engine/cpu/pass.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { EngineError, ShapeError } from '../src/errors.ts';
import { imagesOf } from '../src/graph/with-images.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import { maxDifference, type Tensor, zeros } from '../src/tensor/tensor.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { seededImages, seededWeights } from './support/seeded-net.ts';

after(() => pool.dispose());

const side = 224;
/** A narrow net, as the reference is slow. */
const config = mobileOneConfig('s0', { classes: 10, widths: [0.25, 0.25, 0.25, 0.25] });
const build = (batch: number) =>
  buildMobileOne(config, {
    form: 'deploy',
    batch,
    height: side,
    width: side,
    outputs: ['logits', 'stage3'],
  });
const weights = seededWeights(build(1));

function pictureOf({ shape, data }: Tensor, index: number, batch: number): Tensor<Float32Array> {
  const count = data.length / batch;
  return {
    shape: [1, ...shape.slice(1)],
    data: Float32Array.from(data.subarray(index * count, (index + 1) * count)),
  };
}

test('passes have a picture for each thread, and more where weights would be read too often', () => {
  const s0 = (batch: number, size: number) =>
    buildMobileOne(mobileOneConfig('s0'), { form: 'deploy', batch, height: size, width: size });
  const passOf = (batch: number, size: number, threads: number): number | undefined => {
    const graph = passGraph(s0(batch, size), threads);
    return graph && imagesOf(graph);
  };
  assert.equal(passOf(1, 224, 1), undefined);
  assert.equal(passOf(32, 224, 1), 1);
  assert.equal(passOf(32, 224, 2), 2);
  assert.equal(passOf(33, 224, 2), 1);
  assert.equal(passOf(2, 224, 2), undefined);
  assert.equal(passOf(32, 64, 2), 16);
  assert.equal(passOf(4, 32, 1), undefined);
  assert.equal(passOf(2 ** 40, 224, 1), undefined);
});

for (const target of targets)
  describe(`passes on ${target}`, { skip: skipTarget(target) }, () => {
    for (const [batch, threads] of [
      [6, 1],
      [6, 2],
      [5, 2],
      [6, 3],
    ] as const)
      test(`${batch} pictures, ${threads} threads`, async () => {
        const graph = build(batch);
        assert.ok(passGraph(graph, threads));
        const x = seededImages(batch, side, 3);
        const session = await engine.compile(graph, weights, { target, threads });
        const alone = await engine.compile(build(1), weights, { target, threads: 1 });
        const reference = await referenceEngine.compile(graph, weights, { precision: 'f64' });
        const given = { shape: [batch, 10], data: new Float32Array(batch * 10).fill(Number.NaN) };
        const found = await session.run({ [inputName]: x }, { logits: given });
        assert.equal(found.logits, given);
        const wanted = await reference.run({ [inputName]: x });
        for (const [name, tensor] of Object.entries(wanted)) {
          const result = found[name] ?? zeros([0]);
          assert.deepEqual(result.shape, tensor.shape);
          assert.ok(maxDifference(result, tensor).relative <= 1e-5, name);
          for (let i = 0; i < batch; i++) {
            const one = await alone.run({ [inputName]: pictureOf(x, i, batch) });
            assert.deepEqual(pictureOf(result, i, batch).data, one[name]?.data, `${name} of picture ${i}`);
          }
        }
        session.dispose();
        alone.dispose();
      });
  });

test('what does not fit is refused by its whole shape, before anything is computed', async () => {
  const session = await engine.compile(build(6), weights, { threads: 1 });
  const x = seededImages(6, side, 3);
  await assert.rejects(
    session.run({ [inputName]: seededImages(1, side, 3) }),
    (error: Error) =>
      error instanceof ShapeError && error.message.includes('must be [6,224,224,3], found [1,'),
  );
  await assert.rejects(
    session.run({ [inputName]: x }, { logits: { shape: [1, 10], data: new Float32Array(10) } }),
    ShapeError,
  );
  await assert.rejects(session.run({ [inputName]: x, other: x }), EngineError);
  session.dispose();
  await assert.rejects(session.run({ [inputName]: x }), EngineError);
});
