import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makePng } from '../../../test/support/png.ts';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { DataError } from '../../errors.ts';
import { IGNORE, type IndexMap } from '../../image/index-map.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import { maskArea } from '../../metrics/detection/mask-rle.ts';
import { folderFiles } from '../../platform/node/folder-files.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { type DataFiles, memoryFiles } from '../files.ts';
import { createInlinePool } from '../loader/inline-pool.ts';
import { createLoader } from '../loader/loader.ts';
import type { AnnotatedDataset, AnnotatedObject } from './annotated.ts';
import { checkAnnotations } from './check-annotations.ts';
import { classesOfObjects } from './classes-of-objects.ts';
import { openAnnotated } from './open-annotated.ts';
import { maskRuns, readJointSample } from './read-joint.ts';

const decoder = createPortableDecoder({ advice: '' });

/** A rectangle's outline; corners on pixel edges fill whole pixels. */
const outline = (x: number, y: number, w: number, h: number) => [[x, y, x + w, y, x + w, y + h, x, y + h]];
const object = (category: number, x: number, y: number, w: number, h: number): AnnotatedObject => ({
  ...{ category, box: [x, y, w, h], mask: { kind: 'polygons', polygons: outline(x, y, w, h) } },
  ...{ crowd: false, difficult: false, area: w * h, where: 'here' },
});
const rows = ({ width, height, data }: IndexMap): string[] =>
  Array.from({ length: height }, (_, y) =>
    [...data.subarray(y * width, (y + 1) * width)].map((v) => (v === IGNORE ? '?' : `${v}`)).join(''),
  );

describe('class masks of objects', () => {
  test('the smaller lies on the larger, whatever their order; of equal ones the later', () => {
    const [large, small] = [object(1, 0, 0, 4, 2), object(2, 1, 1, 2, 1)];
    const wanted = ['111100', '122100'];
    const size = { width: 6, height: 2 };
    assert.deepEqual(rows(classesOfObjects([large, small], size, 0)), wanted);
    assert.deepEqual(rows(classesOfObjects([small, large], size, 0)), wanted);
    const equal = [object(1, 0, 0, 2, 1), object(2, 1, 0, 2, 1)];
    assert.deepEqual(rows(classesOfObjects(equal, { width: 4, height: 1 }, 3)), ['1223']);
  });

  test('crowds, boxes without a mask and masks of another size are ignored, but not what lies on them', () => {
    const { mask: _, ...boxed } = object(1, 4.5, 0, 1, 1);
    const runs = { height: 9, width: 9, counts: Uint32Array.of(0, 81) };
    const objects = [
      object(2, 1, 0, 1, 1),
      { ...object(1, 0, 0, 3, 1), crowd: true },
      boxed,
      { ...object(1, 0, 1, 2, 1), mask: { kind: 'rle', rle: runs } } as const,
    ];
    assert.deepEqual(rows(classesOfObjects(objects, { width: 7, height: 2 }, 0)), ['?2?0??0', '??00000']);
  });
});

const coco = (annotations: readonly object[], categories = [{ id: 4, name: 'cat' }]): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      images: [{ id: 5, file_name: 'a.png', width: 6, height: 2 }],
      annotations: annotations.map((one, i) => ({
        ...{ id: i + 1, image_id: 5, category_id: categories.at(-1)?.id, bbox: [1, 0, 2, 1] },
        ...one,
      })),
      categories,
    }),
  );
const set = (json: Uint8Array): DataFiles =>
  memoryFiles(
    'set',
    new Map([...[['images/a.png', makePng({ width: 6, height: 2 })] as const], ['train.json', json]]),
  );
const open = (json: Uint8Array) => openAnnotated(set(json), decoder, { task: 'segment', holdOut: 0 });

test('classes are the categories behind the background; faults are told with file and id', async () => {
  const found = await open(
    coco([
      { segmentation: outline(1, 0, 2, 1) },
      { bbox: [3, 1, 1, 1] },
      { iscrowd: 1, bbox: [5, 0, 1, 2], segmentation: { size: [2, 6], counts: [10, 2] } },
      { bbox: [4, 1, 1, 1], segmentation: { size: [3, 3], counts: [0, 9] } },
      { category_id: 9, segmentation: outline(0, 0, 6, 2) },
    ]),
  );
  assert.deepEqual(
    [found.format, found.classes, found.categoryIds],
    ['coco', ['background', 'cat'], undefined],
  );
  const { data, report } = await checkAnnotations(found, decoder);
  assert.deepEqual(
    report.findings.map(({ kind, where }) => [kind, where]),
    [
      ['unknown-category', 'train.json annotation 5'],
      ['no-mask', 'train.json annotation 2'],
      ['crowd', 'train.json annotation 3'],
      ['mask-size', 'train.json annotation 4'],
    ],
  );
  assert.deepEqual(report.parts[0]?.perClass, [1, 1]);
  const wanted = ['01100?', '000???'];
  for (const { train } of [found, data]) {
    const [sample] = train.samples;
    assert.ok(sample);
    const { classMask } = await readJointSample(train, sample, decoder);
    assert.deepEqual(classMask && rows(classMask), wanted);
  }
  await assert.rejects(checkAnnotations(found, decoder, { onFault: 'stop' }), /annotation 2: no-mask/);
  // The whole picture, 32 × 11 pixels in the batch: four of its twelve are ignored, two are a cat.
  const [background = 0, cat = 0] = await learnedPixels(data.train);
  const all = 32 * 11;
  assert.ok(Math.abs(cat / all - 2 / 12) < 0.05, `${cat} of ${all}`);
  assert.ok(Math.abs(background / all - 6 / 12) < 0.05, `${background} of ${all}`);
});

/** How many pixels of each class the targets of a batch have that a loader makes. */
async function learnedPixels(dataset: AnnotatedDataset): Promise<number[]> {
  const loader = createLoader(dataset, createInlinePool(decoder), {
    ...{ batchSize: 1, seed: 0 },
    pictures: {
      ...{ kind: 'segment', size: 32, strength: 1, interpolation: 'bilinear' },
      augmentation: { color: null, scale: [1 / 3, 1 / 3], flip: 0 },
      normalization: { scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    },
  });
  const sums = [0, 0];
  for await (const { targets } of loader.epoch(0))
    targets.forEach((value, i) => {
      sums[i % 2] = (sums[i % 2] ?? 0) + value;
    });
  return sums;
}

test('a category called background is the background; boxes alone are no masks', async () => {
  const categories = [
    { id: 1, name: 'Background' },
    { id: 2, name: 'dog' },
  ];
  const { classes, train } = await open(coco([{ segmentation: outline(1, 0, 2, 1) }], categories));
  assert.deepEqual(classes, ['Background', 'dog']);
  const [sample] = train.samples;
  const map = sample && (await readJointSample(train, sample, decoder)).classMask;
  assert.deepEqual(map && rows(map), ['011000', '000000']);
  await assert.rejects(open(coco([{}])), DataError);
});

const agreement = (a: IndexMap, b: IndexMap, value: number): number => {
  let [common, either] = [0, 0];
  a.data.forEach((one, i) => {
    const [in1, in2] = [one === value, b.data[i] === value];
    if (in1 && in2) common++;
    if (in1 || in2) either++;
  });
  return common / either;
};

test('outlines of real photos are what Pillow draws of them', {
  skip: skipWithout('data', 'detseg-nuts'),
}, async () => {
  const node = await createNodeDecoder();
  const files = folderFiles(golden('data', 'detseg-nuts'));
  const { files: paths } = await files.list();
  // The same folder without its masks.
  const outlines: DataFiles = {
    ...files,
    list: async () => ({ files: paths.filter((path) => !path.includes('masks/')), folders: [] }),
  };
  const options = { task: 'segment', holdOut: 0 } as const;
  const drawn = await openAnnotated(outlines, node, options);
  const given = await openAnnotated(files, node, { ...options, classes: drawn.classes });
  assert.deepEqual([drawn.format, given.format], ['coco', 'masks']);
  assert.deepEqual(drawn.classes, ['background', 'date', 'fig', 'hazelnut']);
  let count = 0;
  for (const sample of drawn.train.samples) {
    const other = given.train.samples.find(({ path }) => path === sample.path);
    assert.ok(other);
    const own = (await readJointSample(drawn.train, sample, node)).classMask;
    const wanted = (await readJointSample(given.train, other, node)).classMask;
    assert.ok(own && wanted);
    for (const value of new Set(wanted.data)) {
      const iou = agreement(own, wanted, value);
      assert.ok(iou > 0.95, `${sample.path}: class ${value} agrees to ${iou}`);
      count++;
    }
  }
  assert.ok(count >= 40, `${count} classes in pictures`);
});

test('COCO photos: every object alone in its place keeps its area; crowds are ignored', {
  skip: skipWithout('data', 'coco-mini-cc'),
}, async () => {
  const node = await createNodeDecoder();
  const files = folderFiles(golden('data', 'coco-mini-cc'));
  const objects = await openAnnotated(files, node, { task: 'detect', holdOut: 0 });
  const { train, classes } = await openAnnotated(files, node, { task: 'segment', holdOut: 0 });
  assert.equal(classes.length, objects.classes.length + 1);
  let [alone, crowded] = [0, 0];
  for (const [i, sample] of train.samples.entries()) {
    const map = (await readJointSample(train, sample, node)).classMask;
    assert.ok(map);
    const known = objects.train.samples[i]?.target.objects ?? [];
    const pixelsOf = (value: number): number => map.data.filter((one) => one === value).length;
    if (known.some(({ crowd }) => crowd) && pixelsOf(IGNORE) > 0) crowded++;
    const [only] = known;
    if (known.length !== 1 || !only?.mask) continue;
    assert.equal(pixelsOf(only.category + 1), maskArea(maskRuns(only.mask, map)));
    alone++;
  }
  assert.ok(alone >= 3 && crowded >= 3, `${alone} alone, ${crowded} with crowds`);
});
