import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Engine } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type GraphBuilder, graphBuilder } from '../src/graph/builder.ts';
import type { CheckedGraph, ValueId } from '../src/graph/graph.ts';
import type { Shape, Tensor, Weights } from '../src/tensor/tensor.ts';
import { differentiate } from '../src/transform/differentiate.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { gradientErrors } from './support/gradient-check.ts';

interface Fixture {
  readonly images: number;
  readonly maps: readonly number[];
  readonly classes: number;
  readonly labels: readonly number[];
  readonly offsets: readonly number[];
  readonly scores: readonly number[];
  readonly boxes: readonly number[];
  readonly classLoss: number;
  readonly boxLoss: number;
  readonly dscores: readonly number[];
  readonly dboxes: readonly number[];
}
const fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/ssd-loss/ssd-loss.json', import.meta.url), 'utf8'),
) as Fixture;
const { images, classes, maps } = fixture;
const anchors = maps.reduce((sum, count) => sum + count, 0);

/** The part of [N, A, width] that belongs to one map. */
function ofMap(values: readonly number[], width: number, map: number): Float64Array {
  const start = maps.slice(0, map).reduce((sum, count) => sum + count, 0);
  const parts = Array.from({ length: images }, (_, image) =>
    values.slice((image * anchors + start) * width, (image * anchors + start + (maps[map] ?? 0)) * width),
  );
  return Float64Array.from(parts.flat());
}

/** Maps as nets give them: two anchors in each place. */
const mapShape = (map: number, width: number): Shape => [images, (maps[map] ?? 0) / 2, 1, 2 * width];

const values: Weights = new Map<string, Tensor>([
  ['labels', { shape: [images, anchors], data: Float64Array.from(fixture.labels) }],
  ['offsets', { shape: [images, anchors, 4], data: Float64Array.from(fixture.offsets) }],
  ...maps.flatMap((_, i): [string, Tensor][] => [
    [`scores.${i}`, { shape: mapShape(i, classes), data: ofMap(fixture.scores, classes, i) }],
    [`boxes.${i}`, { shape: mapShape(i, 4), data: ofMap(fixture.boxes, 4, i) }],
  ]),
]);

function lossGraph(b: GraphBuilder): {
  readonly outputs: readonly ValueId[];
  readonly maps: readonly ValueId[];
} {
  const input = (name: string): ValueId => b.input(name, values.get(name)?.shape ?? []);
  const given = maps.flatMap((_, i) => [input(`scores.${i}`), input(`boxes.${i}`)]);
  const attrs = { classes, background: 0, negatives: 3 };
  const outputs = b.results('ssdLoss', 'ssd', attrs, [input('labels'), input('offsets'), ...given]);
  return { outputs, maps: given };
}

/** Outputs loss, classes, boxes and the cotangents of all maps. */
function wholeGraph(): CheckedGraph {
  const b = graphBuilder('loss');
  const { outputs, maps: wanted } = lossGraph(b);
  outputs.forEach((value, i) => void b.output(['loss', 'classes', 'boxes'][i] ?? '', value));
  const loss = outputs[0];
  assert.ok(loss !== undefined);
  const { graph, gradients } = differentiate(b.finish(), loss, wanted);
  const all = graphBuilder('loss', graph);
  wanted.forEach((id, i) => {
    const gradient = gradients.get(id);
    assert.ok(gradient !== undefined);
    all.output(`gradient.${i}`, gradient);
  });
  return all.finish();
}

async function check(on: Engine, options: object, tolerance: number): Promise<void> {
  const session = await on.compile(wholeGraph(), new Map(), options);
  const narrow = (tensor: Tensor): Tensor => ({ ...tensor, data: Float32Array.from(tensor.data) });
  const inputs = Object.fromEntries([...values].map(([name, tensor]) => [name, narrow(tensor)]));
  const found = await session.run('precision' in options ? Object.fromEntries(values) : inputs);
  const near = (name: string, wanted: ArrayLike<number>): void => {
    const own = found[name]?.data ?? [];
    assert.equal(own.length, wanted.length, name);
    for (let i = 0; i < wanted.length; i++)
      assert.ok(
        Math.abs((own[i] ?? Number.NaN) - (wanted[i] ?? 0)) < tolerance,
        `${name}[${i}]: ${own[i]}, expected ${wanted[i]}`,
      );
  };
  near('classes', [fixture.classLoss]);
  near('boxes', [fixture.boxLoss]);
  near('loss', [fixture.classLoss + fixture.boxLoss]);
  maps.forEach((_, i) => {
    near(`gradient.${2 * i}`, ofMap(fixture.dscores, classes, i));
    near(`gradient.${2 * i + 1}`, ofMap(fixture.dboxes, 4, i));
  });
  session.dispose();
}

describe("the detector's loss and its gradients are torchvision's", () => {
  test('on the reference engine, f64', () => check(referenceEngine, { precision: 'f64' }, 1e-10));
  for (const target of targets)
    for (const threads of [1, 2])
      test(`on ${target}, threads ${threads}`, { skip: skipTarget(target) }, () =>
        check(engine, { target, threads }, 1e-6),
      );
  test('by central differences', async () => {
    const b = graphBuilder('loss');
    const { outputs, maps: wanted } = lossGraph(b);
    b.output('ssd', outputs[0] ?? assert.fail());
    const graph = b.finish();
    const errors = await gradientErrors({ graph, values, outputs: outputs.slice(0, 1), wanted });
    assert.ok(Math.max(...errors.values()) < 1e-7);
  });
  test('a picture without objects adds nothing', async () => {
    const empty = new Map(values).set('labels', {
      shape: [images, anchors],
      data: new Float64Array(images * anchors),
    });
    const session = await referenceEngine.compile(wholeGraph(), new Map(), { precision: 'f64' });
    const found = await session.run(Object.fromEntries(empty));
    assert.equal(found.loss?.data[0], 0);
    for (let i = 0; i < 2 * maps.length; i++) assert.ok(found[`gradient.${i}`]?.data.every((g) => g === 0));
  });
});

test.after(() => pool.dispose());
