import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Box } from '../src/metrics/detection/box.ts';
import { type CocoStats, cocoEval } from '../src/metrics/detection/coco-eval.ts';
import type { Detection, DetectionTruth, Measure } from '../src/metrics/detection/ground-truth.ts';
import {
  decodeMask,
  encodeMask,
  formatRle,
  type MaskRle,
  maskArea,
  maskBox,
  maskIou,
  parseRle,
  rleOf,
} from '../src/metrics/detection/mask-rle.ts';
import { polygonMask } from '../src/metrics/detection/polygon.ts';
import { vocAp } from '../src/metrics/detection/voc-ap.ts';
import { createRandom } from '../src/tensor/random.ts';
import { golden, skipWithout } from './support/shared.ts';

interface CocoRegion {
  readonly image_id: number;
  readonly category_id: number;
  readonly bbox?: Box;
  readonly segmentation?: number[][] | { size: [number, number]; counts: string | number[] };
}
interface CocoGroundTruth {
  readonly images: readonly { id: number; height?: number; width?: number }[];
  readonly categories: readonly { id: number }[];
  readonly annotations: readonly (CocoRegion & { area: number; iscrowd: number })[];
}
type Expected = Partial<
  Record<
    'bbox' | 'segm',
    { stats: CocoStats; per_category: Record<string, Pick<CocoStats, 'AP' | 'AP50' | 'AP75' | 'AR100'>> }
  >
>;

const cases = [
  ['cocoapi100', 'dt_bbox.json', 'bbox'],
  ['cocoapi100', 'dt_segm.json', 'segm'],
  ['ignore-crowd', 'dt.json', 'bbox'],
  ['three-images', 'dt.json', 'bbox'],
  ['three-images', 'dt.json', 'segm'],
  ['torchmetrics-inputs', 'dt.json', 'bbox'],
  ['torchmetrics-inputs2', 'dt.json', 'bbox'],
  ['torchmetrics-inputs3', 'dt.json', 'bbox'],
] as const;

function maskOf({ segmentation }: CocoRegion, size: readonly [number, number]): MaskRle | undefined {
  if (segmentation === undefined) return undefined;
  if (Array.isArray(segmentation)) return polygonMask(segmentation, ...size);
  const { counts, size: own } = segmentation;
  return typeof counts === 'string' ? parseRle(counts, ...own) : rleOf(counts, ...own);
}

describe('COCO evaluation equals pycocotools', { skip: skipWithout('data', 'golden-coco-eval') }, () => {
  const read = (...parts: string[]): unknown =>
    JSON.parse(readFileSync(golden('data', 'golden-coco-eval', ...parts), 'utf8'));
  for (const [folder, file, type] of cases)
    test(`${folder}, ${type}`, () => {
      const truth = read(folder, 'gt.json') as CocoGroundTruth;
      const guesses = read(folder, file) as readonly (CocoRegion & { score: number })[];
      const expected = (read(folder, 'expected.json') as Expected)[type];
      assert.ok(expected);
      const measure: Measure = type === 'bbox' ? 'box' : 'mask';
      const sizes = new Map(
        truth.images.map(({ id, height = 0, width = 0 }) => [id, [height, width] as const]),
      );
      const region = (r: CocoRegion): Pick<Detection, 'image' | 'category' | 'box' | 'mask'> => {
        const mask = measure === 'mask' ? maskOf(r, sizes.get(r.image_id) ?? [0, 0]) : undefined;
        const box = r.bbox ?? (mask && maskBox(mask));
        return { image: r.image_id, category: r.category_id, ...(box && { box }), ...(mask && { mask }) };
      };
      // A result that comes as a mask has its mask's box, in pycocotools too.
      const boxed = (r: CocoRegion) => {
        const given = region(r);
        const mask = given.box ? undefined : maskOf(r, sizes.get(r.image_id) ?? [0, 0]);
        return mask ? { ...given, box: maskBox(mask) } : given;
      };
      const { stats, categories } = cocoEval(
        truth.annotations.map(
          (a): DetectionTruth => ({ ...region(a), area: a.area, crowd: a.iscrowd === 1 }),
        ),
        guesses.map(
          (d): Detection => ({
            ...boxed(d),
            score: d.score,
            // Where a result has a box, pycocotools takes its area, also when masks are compared.
            ...(d.bbox && { area: d.bbox[2] * d.bbox[3] }),
          }),
        ),
        { measure, categories: truth.categories.map(({ id }) => id) },
      );
      const near = (found: number, wanted: number, what: string): void =>
        assert.ok(Math.abs(found - wanted) <= 1e-9, `${what}: ${found}, expected ${wanted}`);
      for (const [name, value] of Object.entries(expected.stats))
        near(stats[name as keyof CocoStats], value, name);
      for (const [id, own] of Object.entries(expected.per_category))
        for (const [name, value] of Object.entries(own))
          near(categories.get(Number(id))?.[name as keyof typeof own] ?? Number.NaN, value, `${id} ${name}`);
    });
});

describe('Pascal VOC average precision', { skip: skipWithout('data', 'golden-coco-eval', 'voc-ap') }, () => {
  const folder = (name: string): string => golden('data', 'golden-coco-eval', 'voc-ap', name);
  const lines = (name: string): readonly { image: string; numbers: readonly number[] }[] =>
    readdirSync(folder(name)).flatMap((file) =>
      readFileSync(`${folder(name)}/${file}`, 'utf8')
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => ({ image: file, numbers: line.trim().split(/\s+/).slice(1).map(Number) })),
    );
  const boxOf = ([x = 0, y = 0, width = 0, height = 0]: readonly number[]): Box => [x, y, width, height];
  const expected = JSON.parse(
    readFileSync(golden('data', 'golden-coco-eval', 'voc-ap', 'expected.json'), 'utf8'),
  ) as Record<'ap_11point' | 'ap_every_point', Record<string, number>>;
  const truths = lines('groundtruths').map(
    ({ image, numbers }): DetectionTruth => ({
      image,
      category: 0,
      box: boxOf(numbers),
      area: 0,
      crowd: false,
    }),
  );
  const detections = lines('detections').map(
    ({ image, numbers: [score = 0, ...box] }): Detection => ({ image, category: 0, score, box: boxOf(box) }),
  );
  for (const [rule, key] of [
    ['eleven-point', 'ap_11point'],
    ['area', 'ap_every_point'],
  ] as const)
    test(rule, () => {
      for (const [iou, value] of Object.entries(expected[key])) {
        const found = vocAp(truths, detections, { rule, iou: Number(iou), inclusive: true });
        assert.ok(Math.abs(found - value) <= 1e-9, `IoU ${iou}: ${found}, expected ${value}`);
      }
    });
});

describe('run-length masks', () => {
  test('text and back, areas, boxes and IoUs, of random masks', () => {
    const random = createRandom(5);
    for (let i = 0; i < 200; i++) {
      const [height, width] = [1 + random.integer(20), 1 + random.integer(20)];
      const draw = (): Uint8Array => {
        const density = random.uniform();
        return Uint8Array.from({ length: height * width }, () => (random.uniform() < density ? 1 : 0));
      };
      const [a, b] = [draw(), draw()];
      const [ra, rb] = [encodeMask(a, height, width), encodeMask(b, height, width)];
      assert.deepEqual(parseRle(formatRle(ra), height, width), ra);
      assert.deepEqual(decodeMask(ra), a);
      const count = (test: (x: number, y: number) => boolean): number =>
        a.reduce((sum, x, at) => sum + Number(test(x, b[at] ?? 0)), 0);
      const own = count((x) => x === 1);
      const common = count((x, y) => x + y === 2);
      assert.equal(maskArea(ra), own);
      assert.equal(maskIou(ra, rb), common && common / count((x, y) => x + y > 0));
      assert.equal(maskIou(ra, rb, true), common && common / own);
      const [x, y, w, h] = maskBox(ra);
      const inside = a.filter((_, at) => {
        const [row, column] = [Math.floor(at / width), at % width];
        return column >= x && column < x + w && row >= y && row < y + h;
      });
      assert.equal(
        inside.reduce((sum, v) => sum + v, 0),
        own,
      );
    }
  });

  test('a rectangle drawn as a polygon covers its pixels', () => {
    const mask = decodeMask(polygonMask([[1, 2, 5, 2, 5, 4, 1, 4]], 6, 8));
    const rows = [2, 3].flatMap((row) => [1, 2, 3, 4].map((column) => row * 8 + column));
    assert.deepEqual(
      [...mask].flatMap((value, i) => (value ? [i] : [])),
      rows,
    );
  });

  test('texts that end too early, or do not fill the mask, are refused', () => {
    const text = formatRle(encodeMask([0, 1, 1, 0, 1, 0], 2, 3));
    assert.throws(() => parseRle(text, 2, 4), /must be integers ≥ 0 with sum 8, found sum 6/);
    for (let end = 0; end < text.length; end++) assert.throws(() => parseRle(text.slice(0, end), 2, 3));
    assert.throws(() => parseRle('o', 2, 3), /no run-length text at character 1/);
  });
});
