import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../src/errors.ts';
import { applyTransform } from '../src/image/apply-transform.ts';
import type { Image } from '../src/image/image.ts';
import { IGNORE, type IndexMap } from '../src/image/index-map.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createDetector } from '../src/task/detect.ts';
import { evaluateDetector, type TrueObject } from '../src/task/evaluate-detector.ts';
import type { SizedBatch } from '../src/task/evaluate-head.ts';
import { evaluateSegmenter } from '../src/task/evaluate-segmenter.ts';
import type { HeadNet } from '../src/task/head-net.ts';
import { createSegmenter } from '../src/task/segment.ts';
import { exactTransform, randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';

const engine = await nodeCpuEngine();
const pictures = Array.from({ length: 5 }, (_, i) => scenePicture(70 + 6 * i, 60 + i, i + 1));

/** Batches of two, the last one with an empty row. */
async function* batchesOf(net: HeadNet, released: number[]): AsyncGenerator<SizedBatch> {
  for (let at = 0; at < pictures.length; at += 2) {
    const rows = [at, at + 1].map((index) => (index < pictures.length ? index : -1));
    const one = (index: number): Float32Array =>
      applyTransform(pictures[Math.max(0, index)] as Image, net.transform).data;
    const parts = rows.map(one);
    const images = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.forEach((part, row) => {
      images.set(part, row * part.length);
    });
    const sizes = rows.flatMap((index) => [pictures[index]?.width ?? 0, pictures[index]?.height ?? 0]);
    yield { images, indices: rows, sizes, release: () => released.push(at) };
  }
}

describe('evaluateDetector', () => {
  const net = randomDetector();

  async function surestAsTruth(leastScore: number): Promise<TrueObject[][]> {
    const detector = await createDetector(net, { engine, run: 'train' });
    const truths: TrueObject[][] = [];
    for (const picture of pictures) {
      const found = await detector.detect(picture, { leastScore, most: 300 });
      truths.push(
        found.map(({ label, box: { x, y, width, height } }) => ({
          category: label,
          box: [x, y, width, height],
          area: width * height,
          crowd: false,
        })),
      );
    }
    detector.dispose();
    return truths;
  }

  test('its own surest objects as truth: everything is found, in both forms, whatever the picture’s size', async () => {
    const truths = await surestAsTruth(0.5);
    assert.ok(truths.flat().length >= 10);
    const released: number[] = [];
    const progress: number[] = [];
    const { forms, count } = await evaluateDetector(net, batchesOf(net, released), {
      ...{ engine, batch: 2, forms: ['train', 'deploy'] },
      truthOf: (index) => truths[index] ?? [],
      onProgress: (done) => progress.push(done),
    });
    assert.deepEqual([count, released, progress], [5, [0, 2, 4], [2, 4, 5]]);
    for (const { form, result } of forms) {
      assert.ok(result.stats.AP50 > 0.999, `${form}: ${result.stats.AP50}`);
      assert.equal(result.count, 5);
      const objects = result.classes.map((one) => one.objects);
      assert.deepEqual(
        objects,
        [0, 1, 2].map((label) => truths.flat().filter(({ category }) => category === label).length),
      );
      // What is surer than the threshold for people, but not than that of the truth, counts as wrong.
      assert.ok(result.worst.every(({ missed }) => missed === 0));
    }
  });

  test('what is not there counts as missed; crowds count for nothing; a class without objects says so', async () => {
    const truths = await surestAsTruth(0.3);
    const far: TrueObject = { category: 0, box: [0, 0, 1, 1], area: 1, crowd: false };
    const judge = (more: TrueObject[]) =>
      evaluateDetector(net, batchesOf(net, []), {
        ...{ engine, batch: 2, forms: ['train'] },
        truthOf: (index) => [...(truths[index] ?? []), ...(index === 1 ? more : [])],
      });
    const plain = (await judge([])).forms[0]?.result;
    assert.deepEqual(plain?.worst, []);
    const missed = (await judge([far, { ...far }])).forms[0]?.result;
    assert.deepEqual(
      missed?.worst.map(({ index, missed: count, wrong }) => [index, count, wrong]),
      [[1, 2, 0]],
    );
    assert.ok((missed?.classes[0]?.AR100 ?? 1) < (plain?.classes[0]?.AR100 ?? 0));
    const crowd = (await judge([{ ...far, crowd: true }])).forms[0]?.result;
    assert.deepEqual(crowd?.stats, plain?.stats);
    const none = await evaluateDetector(net, batchesOf(net, []), { engine, batch: 2, truthOf: () => [] });
    assert.deepEqual(
      none.forms[0]?.result.classes.map(({ AP, objects }) => [AP, objects]),
      [
        [-1, 0],
        [-1, 0],
        [-1, 0],
      ],
    );
    assert.equal(none.forms[0]?.result.stats.AP, -1);
  });

  test('aborts, and refuses the train form of fused weights', async () => {
    const signal = AbortSignal.abort(new UsageError('enough'));
    const options = { engine, batch: 2, truthOf: () => [], signal };
    await assert.rejects(evaluateDetector(net, batchesOf(net, []), options), /enough/);
    const fused = { ...net, form: 'deploy' } as const;
    const train = { engine, batch: 2, truthOf: () => [], forms: ['train'] } as const;
    await assert.rejects(evaluateDetector(fused, batchesOf(fused, []), train), UsageError);
  });
});

test('evaluateSegmenter: its own answers as truth are perfect; wrong and ignored pixels count as they should', async () => {
  const net = { ...(await randomSegmenter()), transform: exactTransform(64, 48) };
  const segmenter = await createSegmenter(net, { engine, run: 'train' });
  const answers: IndexMap[] = [];
  for (const picture of pictures) {
    const { width, height, classMap } = await segmenter.segment(picture);
    answers.push({ width, height, data: classMap });
  }
  segmenter.dispose();
  const judge = async (change: (data: Uint8Array, index: number) => Uint8Array) => {
    const { forms } = await evaluateSegmenter(net, batchesOf(net, []), {
      ...{ engine, batch: 2, forms: ['train'] },
      truthOf: (index) => {
        const answer = answers[index] as IndexMap;
        return { ...answer, data: change(answer.data, index) };
      },
    });
    return forms[0]?.result;
  };
  const perfect = await judge((data) => data);
  assert.deepEqual([perfect?.meanIou, perfect?.pixelAccuracy, perfect?.count], [1, 1, 5]);
  assert.ok((perfect?.iou.filter((value) => value === 1).length ?? 0) >= 3);
  const half = await judge((data, index) =>
    index === 2
      ? data.map((value, i) => (i % 2 ? value : (value + 1) % 4))
      : data.map((value, i) => (i % 3 ? value : IGNORE)),
  );
  assert.ok(half);
  const counted = answers.map(({ data }, index) =>
    index === 2 ? data.length : data.length - Math.ceil(data.length / 3),
  );
  const total = counted.reduce((sum, n) => sum + n, 0);
  const right = total - Math.ceil((answers[2]?.data.length ?? 0) / 2);
  assert.ok(Math.abs(half.pixelAccuracy - right / total) < 1e-12);
  assert.equal(half.worst[0]?.index, 2);
  assert.ok(Math.abs((half.worst[0]?.pixelAccuracy ?? 0) - 0.5) < 0.01);
  assert.deepEqual(half.worst[0]?.answer, answers[2]);
});
