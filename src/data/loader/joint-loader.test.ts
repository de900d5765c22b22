import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotatedPictures } from '../../../test/support/annotated.ts';
import { anchorBoxes, anchorStyles } from '../../detection/anchors.ts';
import { ssdAssignRule } from '../../detection/assign.ts';
import { boxCoders, decodeBoxes } from '../../detection/box-coder.ts';
import { DataError } from '../../errors.ts';
import { applyTransform } from '../../image/apply-transform.ts';
import { type EvalTransform, evalTransforms } from '../../image/eval-transform.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import type { AnnotatedDataset } from '../annotations/annotated.ts';
import { readJointSample } from '../annotations/read-joint.ts';
import type { Batch, DetectPictures, SegmentPictures } from './batch.ts';
import { createInlinePool } from './inline-pool.ts';
import { createLoader, type LoaderOptions } from './loader.ts';
import { toPicture } from './to-picture.ts';

const decoder = createPortableDecoder({ advice: '' });
const pool = createInlinePool(decoder);
const size = 64;
const { scale, mean, std } = evalTransforms.apple;
const anchors = anchorBoxes(
  anchorStyles.torchvision(size),
  [4, 2, 1, 1, 1, 1].map((n) => [n, n]),
  [size, size],
);
const common = {
  interpolation: 'bilinear',
  normalization: { scale, mean, std },
  size,
  strength: 1,
} as const;
const detect: DetectPictures = {
  ...common,
  kind: 'detect',
  augmentation: {
    color: null,
    mosaic: { chance: 0.5, scale: [1, 2] },
    expand: { chance: 0.5, factor: [1, 2] },
    crop: null,
    scale: [0.7, 1.3],
    flip: 0.5,
    keepAspect: true,
    leastVisible: 0.1,
  },
  anchors,
  targets: { assign: ssdAssignRule, coder: boxCoders.torchvision, background: 0 },
};
const segment: SegmentPictures = {
  ...common,
  kind: 'segment',
  augmentation: { color: null, scale: [1, 1], flip: 0.5 },
};

async function take(data: AnnotatedDataset, options: Omit<LoaderOptions, 'batchSize'>): Promise<Batch[]> {
  const loader = createLoader(data, pool, { batchSize: 4, ...options });
  const batches: Batch[] = [];
  for await (const batch of loader.epoch(0)) batches.push(batch);
  return batches;
}

test('detection: what anchors are to find is in the picture, mosaics included', async () => {
  const { data, colourOf } = await annotatedPictures(24);
  let found = 0;
  const boxes = new Float32Array(anchors.length);
  for (const batch of await take(data, { pictures: detect, seed: 3 })) {
    assert.deepEqual(
      [batch.images.length, batch.targets.length, batch.offsets.length],
      [4 * size * size * 3, anchors.length, 4 * anchors.length],
    );
    for (let row = 0; row < 4; row++) {
      const picture = toPicture(batch, row);
      const labels = batch.targets.subarray((row * anchors.length) / 4, ((row + 1) * anchors.length) / 4);
      const offsets = batch.offsets.subarray(row * anchors.length, (row + 1) * anchors.length);
      decodeBoxes(detect.targets.coder, anchors, offsets, boxes);
      labels.forEach((label, anchor) => {
        if (label < 1) return;
        const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(4 * anchor, 4 * anchor + 4);
        const at = 3 * (Math.floor((y1 + y2) / 2) * size + Math.floor((x1 + x2) / 2));
        const pixel = [...picture.data.subarray(at, at + 3)];
        const away = colourOf(label - 1).map((level, i) => Math.abs(level - (pixel[i] ?? 0)));
        assert.ok(Math.max(...away) < 60, `class ${label - 1} at ${[x1, y1, x2, y2]}: ${pixel}`);
        found++;
      });
    }
  }
  assert.ok(found > 100, `${found} anchors with an object`);
});

test('segmentation: each pixel’s target is the class of its colour', async () => {
  const { data, colourOf } = await annotatedPictures(8, { masks: true });
  for (const batch of await take(data, { pictures: segment, seed: 1 })) {
    const classes = data.classes.length;
    let [agreeing, judged] = [0, 0];
    for (let row = 0; row < 4; row++) {
      const picture = toPicture(batch, row);
      for (let at = 0; at < size * size; at++) {
        const from = (row * size * size + at) * classes;
        const target = batch.targets.subarray(from, from + classes);
        const one = target.indexOf(1);
        assert.equal(
          target.reduce((sum, value) => sum + value, 0),
          one < 0 ? 0 : 1,
        );
        if (one < 1) continue;
        judged++;
        const near = colourOf(one - 1).every(
          (level, i) => Math.abs(level - (picture.data[at * 3 + i] ?? 0)) < 80,
        );
        if (near) agreeing++;
      }
    }
    assert.ok(judged > 1000 && agreeing > 0.9 * judged, `${agreeing} of ${judged}`);
  }
});

const transform: EvalTransform = {
  resize: { kind: 'exact', width: 48, height: 40 },
  crop: null,
  interpolation: 'bilinear',
  scale,
  mean,
  std,
};

test('evaluation: exactly resized pictures with their own sizes, no targets, empty rows at the end', async () => {
  const { data } = await annotatedPictures(6);
  const batches = await take(data, { pictures: { kind: 'eval', transform } });
  assert.deepEqual(
    batches.map(({ targets, offsets, indices }) => [targets.length, offsets.length, ...indices]),
    [
      [0, 0, 0, 1, 2, 3],
      [0, 0, 4, 5, -1, -1],
    ],
  );
  for (const { images, indices, sizes } of batches)
    for (const [row, index] of indices.entries()) {
      const sample = data.samples[index];
      if (!sample) {
        assert.deepEqual([...sizes.subarray(2 * row, 2 * row + 2)], [0, 0]);
        continue;
      }
      const { image } = await readJointSample(data, sample, decoder);
      assert.deepEqual([...sizes.subarray(2 * row, 2 * row + 2)], [image.width, image.height]);
      const length = 48 * 40 * 3;
      assert.deepEqual(
        images.subarray(row * length, (row + 1) * length),
        applyTransform(image, transform).data,
      );
    }
});

test('a shrunk picture brings its boxes along; masks follow too', async () => {
  const { data } = await annotatedPictures(8);
  const plain = { ...detect, augmentation: { ...detect.augmentation, mosaic: null } };
  const [whole] = await take(data, { pictures: plain, seed: 2 });
  const [shrunk] = await take(data, { pictures: plain, seed: 2, shrink: 48 });
  assert.ok(whole && shrunk);
  assert.ok(Math.min(...(shrunk.sizes ?? [])) < Math.min(...whole.sizes));
  const positives = whole.targets.filter((label) => label > 0).length;
  const agreeing = whole.targets.filter((label, i) => label > 0 && shrunk.targets[i] === label).length;
  assert.ok(positives > 5 && agreeing > 0.8 * positives, `${agreeing} of ${positives}`);
  const masked = await annotatedPictures(4, { masks: true });
  const [batch] = await take(masked.data, { pictures: segment, shrink: 48 });
  assert.ok(batch?.targets.some((value) => value === 1));
});

test('broken pictures and masks of another size are reported, and others stand in', async () => {
  const { data } = await annotatedPictures(9, { masks: true, broken: [2], wrongMask: [5] });
  const loader = createLoader(data, pool, { batchSize: 4, pictures: segment });
  let batches = 0;
  for await (const { indices } of loader.epoch(0)) {
    assert.ok(!indices.includes(2) && !indices.includes(5));
    batches++;
  }
  assert.equal(batches, 2);
  const { broken } = loader.stats();
  assert.deepEqual(broken.map(({ path }) => path).sort(), ['images/2.png', 'images/5.png']);
  assert.match(broken.find(({ path }) => path === 'images/5.png')?.reason ?? '', /the mask is/);
  const boxes = await annotatedPictures(12, { broken: [0, 7] });
  const mosaics = {
    ...detect,
    augmentation: { ...detect.augmentation, mosaic: { chance: 1, scale: [1, 2] } },
  } as const;
  const first = await take(boxes.data, { pictures: mosaics, seed: 4 });
  const cached = await take(boxes.data, { pictures: mosaics, seed: 4, cacheBytes: 1e6 });
  assert.equal(first.length, 3);
  assert.deepEqual(
    cached.map(({ images, targets, offsets }) => [images, targets, offsets]),
    first.map(({ images, targets, offsets }) => [images, targets, offsets]),
  );
});

test('targets that do not suit the pictures are refused', async () => {
  const { data } = await annotatedPictures(4);
  assert.throws(
    () => createLoader(data, pool, { batchSize: 2, pictures: segment }),
    (error) => error instanceof DataError && /no class mask/.test(error.message),
  );
  const classes = { ...data, samples: data.samples.map(({ path }) => ({ path, target: 0 })) };
  assert.throws(() => createLoader(classes, pool, { batchSize: 2, pictures: detect }), DataError);
  const strange = { ...data, classes: ['a'] };
  assert.throws(
    () => createLoader(strange, pool, { batchSize: 2, pictures: detect }),
    (error) => error instanceof DataError && /category/.test(error.message),
  );
});
