import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AnchorStyleName, anchorBoxes, anchorStyles } from '../src/detection/anchors.ts';
import { overlap } from '../src/detection/nms.ts';
import { selectDetections } from '../src/detection/select.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { UsageError } from '../src/errors.ts';
import { applyTransform } from '../src/image/apply-transform.ts';
import type { Image } from '../src/image/image.ts';
import { type DeepLabStyleName, deepLabStyles } from '../src/model/deeplabv3.ts';
import { createDetector, type DetectedObject, detectionDecoder } from '../src/task/detect.ts';
import { runnableNet } from '../src/task/head-net.ts';
import { classMapOf, createSegmenter } from '../src/task/segment.ts';
import { detectorStyles } from '../src/task/task-head.ts';
import { createRandom } from '../src/tensor/random.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';

/** The answer as its definition reads: every anchor on its own, then suppression by comparing all with all. */
async function plainDetections(style: AnchorStyleName, image: Image, least: number, iou: number) {
  const source = randomDetector(style);
  const { net, maps } = runnableNet(source, 'train');
  const session = await referenceEngine.compile(net.graph, net.weights);
  const outputs = await session.run({ image: applyTransform(image, source.transform) });
  const anchors = anchorBoxes(source.head.anchors, maps, [64, 96]);
  const joined = (name: string): number[] =>
    maps.flatMap((_, i) => [...(outputs[`${name}.${i}`]?.data ?? [])]);
  const [scores, offsets] = [joined('classes'), joined('boxes')];
  const objects: DetectedObject[] = [];
  for (let a = 0; a < anchors.length / 4; a++) {
    const exps = scores.slice(4 * a, 4 * a + 4).map(Math.exp);
    const total = exps.reduce((sum, value) => sum + value);
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = anchors.slice(4 * a, 4 * a + 4);
    const [dx = 0, dy = 0, dw = 0, dh = 0] = offsets.slice(4 * a, 4 * a + 4);
    const [cx, cy] = [(x1 + x2) / 2 + 0.1 * dx * (x2 - x1), (y1 + y2) / 2 + 0.1 * dy * (y2 - y1)];
    const [w, h] = [(x2 - x1) * Math.exp(0.2 * dw), (y2 - y1) * Math.exp(0.2 * dh)];
    const cut = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
    const [left, right, top, bottom] = [
      cut(cx - w / 2, 96),
      cut(cx + w / 2, 96),
      cut(cy - h / 2, 64),
      cut(cy + h / 2, 64),
    ];
    const [sx, sy] = [image.width / 96, image.height / 64];
    const box = { x: left * sx, y: top * sy, width: (right - left) * sx, height: (bottom - top) * sy };
    for (const [label, className] of source.labels.entries()) {
      const score = (exps[style === 'mmdetection' ? label : label + 1] ?? 0) / total;
      if (score > least) objects.push({ label, className, score, box });
    }
  }
  objects.sort((a, b) => b.score - a.score);
  const kept: DetectedObject[] = [];
  for (const one of objects)
    if (!kept.some((other) => other.label === one.label && iouOf(other.box, one.box) > iou)) kept.push(one);
  return kept;
}

function iouOf(a: DetectedObject['box'], b: DetectedObject['box']): number {
  const w = Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x));
  const h = Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));
  return (w * h) / (a.width * a.height + b.width * b.height - w * h);
}

test('suppression of many equal scores, class by class, as its definition reads', () => {
  const random = createRandom(8);
  const [count, classes, iou] = [400, 3, 0.4];
  const corners = Array.from({ length: count }, () => {
    const [x, y] = [random.uniform(), random.uniform()];
    return [x, y, x + 0.3 * random.uniform(), y + 0.3 * random.uniform()];
  });
  const boxes = Float32Array.from(corners.flat());
  const scores = Float32Array.from({ length: count * classes }, () => random.integer(9) / 9);
  const wanted = [1, 2].flatMap((label) => {
    const kept: number[] = [];
    const order = Array.from({ length: count }, (_, i) => i).filter(
      (i) => (scores[3 * i + label] ?? 0) > 0.3,
    );
    order.sort((a, b) => (scores[3 * b + label] ?? 0) - (scores[3 * a + label] ?? 0) || a - b);
    for (const i of order.slice(0, 90))
      if (!kept.some((other) => overlap(boxes, i, other) > iou)) kept.push(i);
    return kept.map((anchor) => ({ anchor, label, score: scores[3 * anchor + label] }));
  });
  wanted.sort((a, b) => (b.score ?? 0) - (a.score ?? 0));
  const rule = { leastScore: 0.3, perClass: 90, iou, most: 1000 };
  assert.deepEqual(selectDetections(boxes, scores, classes, 0, rule), wanted);
  assert.ok(wanted.length > 20 && wanted.length < 170);
});

describe('detect', () => {
  const styles = Object.keys(anchorStyles) as AnchorStyleName[];
  for (const style of styles)
    test(`${style}: what its definition gives, in the pixels of an odd picture`, async () => {
      const image = scenePicture(131, 77);
      const { iou } = detectorStyles[style].rule;
      const detector = await createDetector(randomDetector(style), { engine: referenceEngine });
      const found = await detector.detect(image, { leastScore: 0.3, most: 1000 });
      const wanted = await plainDetections(style, image, 0.3, iou);
      assert.ok(found.length > 5, `${found.length} objects`);
      assert.equal(found.length, wanted.length);
      found.forEach((one, i) => {
        const other = wanted[i] ?? assert.fail();
        assert.equal(one.label, other.label);
        assert.equal(one.className, other.className);
        assert.ok(Math.abs(one.score - other.score) < 1e-5);
        for (const side of ['x', 'y', 'width', 'height'] as const)
          assert.ok(Math.abs(one.box[side] - other.box[side]) < 1e-2, `${i}: ${side}`);
      });
    });

  test('thresholds, classes and the greatest number', async () => {
    const detector = await createDetector(randomDetector(), { engine: referenceEngine, run: 'train' });
    const image = scenePicture(50, 90);
    const all = await detector.detect(image, { leastScore: 0, most: 1e6 });
    const stars = await detector.detect(image, { leastScore: 0, most: 1e6, classes: ['star'] });
    assert.deepEqual(
      stars,
      all.filter(({ className }) => className === 'star'),
    );
    assert.ok(stars.length > 0 && stars.length < all.length);
    assert.deepEqual(await detector.detect(image, { leastScore: 0, most: 3 }), all.slice(0, 3));
    const middle = all[Math.floor(all.length / 2)]?.score ?? 0;
    const sure = await detector.detect(image, { leastScore: middle, most: 1e6 });
    assert.ok(sure.length > 0 && sure.every(({ score }) => score > middle));
    await assert.rejects(detector.detect(image, { classes: ['moon'] }), UsageError);
    await assert.rejects(detector.detect(image, { classes: [3] }), UsageError);
    await assert.rejects(detector.detect(image, { leastScore: 2 }), UsageError);
  });

  test('each picture of a batch as alone', async () => {
    const source = randomDetector();
    const { net, maps } = runnableNet(source, 'deploy', { batch: 2 });
    const images = [scenePicture(96, 64, 1), scenePicture(96, 64, 2)];
    const data = images.flatMap((image) => [...applyTransform(image, source.transform).data]);
    const session = await referenceEngine.compile(net.graph, net.weights);
    const outputs = await session.run({ image: { shape: [2, 64, 96, 3], data: Float32Array.from(data) } });
    const decoder = detectionDecoder(source, maps);
    const detector = await createDetector(source, { engine: referenceEngine });
    for (const [n, image] of images.entries()) {
      const alone = await detector.detect(image, { leastScore: 0.3, most: 1e6, iou: 0.5 });
      const rule = { leastScore: 0.3, perClass: 300, iou: 0.5, most: 1e6 };
      assert.deepEqual(decoder(outputs, n, image, rule), alone);
      assert.ok(alone.length > 0);
    }
  });

  test('fused weights have no train form, and a crop would lose parts of the picture', async () => {
    const source = randomDetector();
    const deploy = { ...source, form: 'deploy' as const };
    await assert.rejects(createDetector(deploy, { engine: referenceEngine, run: 'train' }), UsageError);
    const crop = { ...source, transform: { ...source.transform, crop: { width: 32, height: 32 } } };
    await assert.rejects(createDetector(crop, { engine: referenceEngine }), UsageError);
  });
});

/** Bilinear sampling of one number, as PyTorch defines it. */
function sampled(
  logits: Tensor,
  y: number,
  x: number,
  c: number,
  [height, width]: readonly [number, number],
  corners: boolean,
): number {
  const [, h = 0, w = 0, classes = 0] = logits.shape;
  const place = (i: number, from: number, to: number): number =>
    corners ? (to === 1 ? 0 : (i * (from - 1)) / (to - 1)) : Math.max(0, ((i + 0.5) * from) / to - 0.5);
  const [py, px] = [place(y, h, height), place(x, w, width)];
  const at = (row: number, column: number): number =>
    logits.data[(Math.min(row, h - 1) * w + Math.min(column, w - 1)) * classes + c] ?? Number.NaN;
  const [y0, x0] = [Math.floor(py), Math.floor(px)];
  const [fy, fx] = [py - y0, px - x0];
  return (
    (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x0 + 1)) +
    fy * ((1 - fx) * at(y0 + 1, x0) + fx * at(y0 + 1, x0 + 1))
  );
}

describe('segment', () => {
  for (const style of Object.keys(deepLabStyles) as DeepLabStyleName[])
    test(`${style}: what its definition gives, at the size of an odd picture`, async () => {
      const source = await randomSegmenter(style);
      const image = scenePicture(75, 31);
      const segmenter = await createSegmenter(source, { engine: referenceEngine });
      const { width, height, classMap, classes, probabilities } = await segmenter.segment(image, {
        probabilities: true,
      });
      assert.deepEqual([width, height, classMap.length], [75, 31, 75 * 31]);
      const { net } = runnableNet(source, 'train');
      const session = await referenceEngine.compile(net.graph, net.weights);
      const { logits } = await session.run({ image: applyTransform(image, source.transform) });
      assert.ok(logits);
      const counts = [0, 0, 0, 0];
      for (let y = 0; y < 31; y++)
        for (let x = 0; x < 75; x++) {
          const values = counts.map((_, c) =>
            sampled(logits, y, x, c, [31, 75], deepLabStyles[style].alignCorners),
          );
          const label = classMap[y * 75 + x] ?? 0;
          counts[label] = (counts[label] ?? 0) + 1;
          assert.ok((values[label] ?? Number.NaN) > Math.max(...values) - 1e-4, `${x}, ${y}`);
          const total = values.reduce((sum, value) => sum + Math.exp(value), 0);
          for (const [c, value] of values.entries()) {
            const share = probabilities?.[4 * (y * 75 + x) + c] ?? Number.NaN;
            assert.ok(Math.abs(share - Math.exp(value) / total) < 1e-4);
          }
        }
      assert.deepEqual(
        classes.map(({ pixels }) => pixels),
        counts,
      );
      assert.deepEqual(
        classes.map(({ className }) => className),
        source.labels,
      );
      assert.ok(counts.filter((count) => count > 0).length > 1, counts.join(' '));
      assert.equal(new Set(classes.map(({ colour }) => colour.join())).size, 4);
    });

  test('one pixel, one column, and the second picture of a batch', () => {
    const data = Float32Array.from([0, 1, 5, 0, 9, 0, 0, 9]);
    const logits = { shape: [2, 2, 1, 2], data };
    const map = (width: number, height: number, n: number) => [
      ...classMapOf(logits, { width, height }, { alignCorners: false, n }).classMap,
    ];
    assert.deepEqual(map(1, 2, 0), [1, 0]);
    assert.deepEqual(map(2, 2, 1), [0, 0, 1, 1]);
    assert.deepEqual(map(1, 1, 0), [0]);
  });
});

test('between places that agree nothing is computed, and the map is that of the probabilities', () => {
  const random = createRandom(7);
  for (const alignCorners of [false, true])
    for (const [rows, columns, classes, width, height] of [
      [5, 7, 4, 61, 40],
      [9, 3, 21, 17, 90],
      [4, 4, 2, 4, 4],
      [6, 6, 3, 3, 2],
    ] as const) {
      // Blobs: every class wins somewhere, with ties where all are zero.
      const data = Float32Array.from({ length: rows * columns * classes }, (_, i) => {
        const place = Math.floor(i / classes);
        const blob = Math.floor(place / columns / 2) + Math.floor((place % columns) / 2);
        return (blob % classes === i % classes ? 2 : 0) + (place % 5 === 0 ? 0 : random.normal());
      });
      const logits = { shape: [1, rows, columns, classes], data };
      const { classMap } = classMapOf(logits, { width, height }, { alignCorners });
      const whole = classMapOf(logits, { width, height }, { alignCorners, probabilities: true });
      assert.deepEqual(classMap, whole.classMap, `${rows}×${columns} → ${height}×${width}`);
    }
});

/** All classes resized, as its definition reads. */
function resized(logits: Tensor, height: number, width: number, corners: boolean): Tensor {
  const classes = logits.shape[3] ?? 0;
  const data = new Float32Array(height * width * classes);
  data.forEach((_, i) => {
    const pixel = Math.floor(i / classes);
    const [y, x] = [Math.floor(pixel / width), pixel % width];
    data[i] = sampled(logits, y, x, i % classes, [height, width], corners);
  });
  return { shape: [1, height, width, classes], data };
}

test('few logits are resized to the input and from there to the picture, in one', () => {
  const random = createRandom(9);
  let cells = 0;
  for (const alignCorners of [false, true])
    for (const [rows, columns, classes, via, picture] of [
      [4, 5, 6, [40, 32], [57, 29]],
      [4, 4, 3, [32, 32], [32, 32]],
      [2, 1, 4, [16, 32], [33, 50]],
      [6, 6, 5, [48, 48], [20, 13]],
      [3, 7, 2, [7, 3], [64, 64]],
    ] as const) {
      const data = Float32Array.from({ length: rows * columns * classes }, () => random.normal());
      const logits = { shape: [1, rows, columns, classes], data };
      const [input, size] = [via, picture].map(([width, height]) => ({ width, height }));
      assert.ok(input && size);
      const options = { alignCorners, via: input };
      const { classMap } = classMapOf(logits, size, options);
      const { probabilities } = classMapOf(logits, size, { ...options, probabilities: true });
      const large = resized(logits, input.height, input.width, alignCorners);
      const wanted = resized(large, size.height, size.width, alignCorners).data;
      classMap.forEach((label, at) => {
        const values = [...wanted.subarray(at * classes, (at + 1) * classes)];
        assert.ok((values[label] ?? Number.NaN) >= Math.max(...values) - 1e-5, `pixel ${at}`);
        const total = values.reduce((sum, value) => sum + Math.exp(value), 0);
        const share = Math.exp(values[label] ?? 0) / total;
        assert.ok(Math.abs((probabilities?.[at * classes + label] ?? Number.NaN) - share) < 1e-5);
        cells++;
      });
    }
  assert.ok(cells > 10_000);
  const logits = { shape: [1, 4, 4, 2], data: new Float32Array(32) };
  const small = { alignCorners: false, via: { width: 2, height: 4 } };
  assert.throws(() => classMapOf(logits, { width: 8, height: 8 }, small), UsageError);
});
