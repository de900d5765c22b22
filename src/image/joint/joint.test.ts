import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom, type Random } from '../../tensor/random.ts';
import { IGNORE, type IndexMap, resizeIndices } from '../index-map.ts';
import { iouCrops, randomIouCrop } from './iou-crop.ts';
import {
  augmentForDetection,
  augmentForSegmentation,
  type DetectAugmentation,
  expandRandomly,
  weakened,
} from './joint-augmentation.ts';
import {
  flipSample,
  type JointObject,
  type JointSample,
  resizeSample,
  windowSample,
} from './joint-sample.ts';
import { mosaic } from './mosaic.ts';
import { fitSample, type JointTarget, scaleAndCrop } from './place.ts';

const paints = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
] as const;

/** A black picture with painted boxes, each in a band of its own; the class mask says 1 + category there. */
function painted(random: Random): JointSample {
  const [width, height] = [60 + random.integer(60), 60 + random.integer(60)];
  const image = { width, height, data: new Uint8Array(width * height * 3) };
  const classMask = { width, height, data: new Uint8Array(width * height) };
  const objects = paints.map((colour, category): JointObject => {
    const band = Math.floor(height / 3);
    const [w, h] = [12 + random.integer(width - 20), 12 + random.integer(band - 12)];
    const [x, y] = [random.integer(width - w), category * band + random.integer(band - h)];
    const mask = { width, height, data: new Uint8Array(width * height) };
    for (let row = y; row < y + h; row++)
      for (let column = x; column < x + w; column++) {
        const at = row * width + column;
        image.data.set(colour, at * 3);
        classMask.data[at] = category + 1;
        mask.data[at] = 1;
      }
    return { category, box: [x, y, w, h], crowd: false, mask };
  });
  return { image, objects, classMask };
}

type Bounds = readonly [left: number, top: number, right: number, bottom: number];

function boundsWhere(width: number, height: number, holds: (at: number) => boolean): Bounds | undefined {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (holds(y * width + x)) {
        left = Math.min(left, x);
        top = Math.min(top, y);
        right = Math.max(right, x + 1);
        bottom = Math.max(bottom, y + 1);
      }
  return right > 0 ? [left, top, right, bottom] : undefined;
}

const boundsOf = ({ width, height, data }: IndexMap, value: number): Bounds | undefined =>
  boundsWhere(width, height, (at) => data[at] === value);

/** Picture, boxes, objects' masks and class mask all tell of the same places, to `slack` pixels. */
function assertAligned({ image, objects, classMask }: JointSample, slack: number, isFill?: number): void {
  const { width, height, data } = image;
  assert.equal(data.length, width * height * 3);
  assert.ok(classMask && classMask.width === width && classMask.height === height);
  for (const { category, box, mask } of objects) {
    const [x, y, w, h] = box;
    const corners: Bounds = [x, y, x + w, y + h];
    assert.ok(x >= 0 && y >= 0 && x + w <= width + 1e-6 && y + h <= height + 1e-6 && w > 0 && h > 0);
    const others = [0, 1, 2].filter((channel) => channel !== category);
    const seen = boundsWhere(width, height, (at) => {
      const level = (channel: number): number => data[at * 3 + channel] ?? 0;
      return level(category) > 127 && others.every((channel) => level(channel) < 128);
    });
    const found = {
      picture: seen,
      mask: mask && boundsOf(mask, 1),
      classMask: boundsOf(classMask, category + 1),
    };
    for (const [what, bounds] of Object.entries(found)) {
      // A sliver thinner than the tolerance may have lost all of its pixels to rounding.
      if (!bounds && Math.min(w, h) <= slack) continue;
      corners.forEach((corner, i) => {
        const away = Math.abs((bounds?.[i] ?? Number.NaN) - corner);
        assert.ok(away <= slack, `${what} of ${category}: ${bounds}, box ${corners}`);
      });
    }
  }
  if (isFill === undefined) return;
  for (let at = 0; at < width * height; at++)
    assert.equal(classMask.data[at] === IGNORE, data[at * 3] === isFill && data[at * 3 + 1] === isFill);
}

const target: JointTarget = { width: 96, height: 64, interpolation: 'bilinear', fill: [77, 77, 77] };

describe('pictures, boxes and masks stay aligned', () => {
  const each = (count: number, work: (sample: JointSample, random: Random) => void): void => {
    for (let seed = 0; seed < count; seed++) {
      const random = createRandom(seed);
      work(painted(random), random);
    }
  };

  test('windows inside, outside and across the edge, to the pixel', () => {
    each(40, (sample, random) => {
      const region = {
        x: random.integer(60) - 30,
        y: random.integer(60) - 30,
        width: 20 + random.integer(120),
        height: 20 + random.integer(120),
      };
      assertAligned(windowSample(sample, region, target.fill), 0, 77);
    });
  });

  test('flips, to the pixel; twice is as before', () => {
    each(20, (sample) => {
      assertAligned(flipSample(sample), 0);
      assert.deepEqual(flipSample(flipSample(sample)), sample);
    });
  });

  test('sizes, to a pixel', () => {
    each(30, (sample, random) => {
      assertAligned(resizeSample(sample, 30 + random.integer(150), 30 + random.integer(150), 'bilinear'), 1);
    });
  });

  test('expansion', () => {
    each(20, (sample, random) => {
      const wide = expandRandomly(sample, { chance: 1, factor: [1, 4] }, target.fill, random);
      assertAligned(wide, 0, 77);
      assert.equal(wide.objects.length, 3);
      assert.deepEqual(
        wide.objects.map(({ box }) => box.slice(2)),
        sample.objects.map(({ box }) => box.slice(2)),
      );
    });
  });

  test('random scale and crop, and both fits, of the asked size', () => {
    each(30, (sample, random) => {
      for (const result of [
        scaleAndCrop(sample, [0.5, 2], 'fit', target, random),
        scaleAndCrop(sample, [0.5, 2], 'cover', target, random),
        fitSample(sample, target, true),
        fitSample(sample, target, false),
      ]) {
        assert.deepEqual([result.image.width, result.image.height], [96, 64]);
        assertAligned(result, 1);
      }
    });
  });

  test('all of detection and of segmentation; equal seeds give equal samples', () => {
    const augmentation: DetectAugmentation = {
      color: { brightness: 0.1, contrast: 0.1, saturation: 0.1, hue: 0 },
      expand: { chance: 0.5, factor: [1, 2] },
      crop: iouCrops.torchvision,
      scale: null,
      flip: 0.5,
      keepAspect: false,
      mosaic: null,
      leastVisible: 0,
    };
    each(30, (sample, random) => {
      const seed = random.integer(1000);
      const result = augmentForDetection(sample, augmentation, target, createRandom(seed));
      assertAligned(result, 1.5);
      assert.deepEqual(augmentForDetection(sample, augmentation, target, createRandom(seed)), result);
      const segment = { color: null, scale: [0.5, 2], flip: 0.5 } as const;
      assertAligned(augmentForSegmentation(sample, segment, target, random), 1);
    });
  });
});

/** Whether a pixel has a paint's colour, at least half of it. */
const isPainted = ({ data }: JointSample['image'], at: number, category: number): boolean =>
  paints.every((_, channel) => (data[at * 3 + channel] ?? 0) > 127 === (channel === category));

test('mosaic: boxes hold what they say, and nothing painted lies outside of them; equal seeds, equal results', () => {
  const options = [[1, 2], target, 0] as const;
  let objects = 0;
  for (let seed = 0; seed < 40; seed++) {
    const random = createRandom(seed);
    const four = [painted(random), painted(random), painted(random), painted(random)] as const;
    const result = mosaic([...four], ...options, createRandom(seed));
    assert.deepEqual(mosaic([...four], ...options, createRandom(seed)), result);
    const { width, height } = result.image;
    assert.deepEqual([width, height], [target.width, target.height]);
    const claimed = new Uint8Array(width * height);
    for (const { category, box } of result.objects) {
      const [x, y, w, h] = box;
      assert.ok(x >= 0 && y >= 0 && x + w <= width + 1e-6 && y + h <= height + 1e-6 && w > 0 && h > 0);
      for (let row = Math.max(0, Math.floor(y - 1)); row < Math.min(height, y + h + 1); row++)
        for (let column = Math.max(0, Math.floor(x - 1)); column < Math.min(width, x + w + 1); column++) {
          const at = row * width + column;
          claimed[at] = (claimed[at] ?? 0) | (1 << category);
          const within = column >= x + 1 && column + 2 <= x + w && row >= y + 1 && row + 2 <= y + h;
          if (within) assert.ok(isPainted(result.image, at, category), `seed ${seed}: ${category} at ${box}`);
        }
      objects++;
    }
    for (let at = 0; at < width * height; at++)
      for (const category of paints.keys())
        if (isPainted(result.image, at, category)) assert.ok(((claimed[at] ?? 0) >> category) & 1);
  }
  assert.ok(objects > 200, `${objects} objects`);
});

test('a window drops objects of which too little is left, but no crowds', () => {
  const sample = painted(createRandom(4));
  const [first] = sample.objects;
  assert.ok(first);
  const [x, y, w, h] = first.box;
  const width = x + (w >> 1);
  const half = { x: 0, y: 0, width, height: y + h };
  const left = (width - x) / w;
  const cut = (object: JointObject, least: number): number =>
    windowSample({ ...sample, objects: [object] }, half, [0, 0, 0], least).objects.length;
  assert.deepEqual(
    [cut(first, left - 0.01), cut(first, left + 0.01), cut({ ...first, crowd: true }, left + 0.01)],
    [1, 0, 1],
  );
});

test('strength 0 leaves crops and flips, 1 everything', () => {
  const augmentation: DetectAugmentation = {
    color: { brightness: 0.4, contrast: 0.2, saturation: 0, hue: 0.1 },
    mosaic: null,
    expand: { chance: 0.5, factor: [1, 2] },
    crop: iouCrops.torchvision,
    scale: [0.5, 2],
    flip: 0.5,
    keepAspect: true,
    leastVisible: 0.2,
  };
  assert.deepEqual(weakened(augmentation, 1), augmentation);
  const none = { color: { brightness: 0, contrast: 0, saturation: 0, hue: 0 }, scale: [1, 1] };
  const expand = { chance: 0, factor: [1, 2] };
  assert.deepEqual(weakened(augmentation, 0), { ...augmentation, ...none, expand });
  assert.deepEqual(weakened({ color: null, scale: [0.5, 2], flip: 0.5 }, 0.5).scale, [0.75, 1.5]);
});

test('scale 1 fits into the target, or covers it', () => {
  const sample = painted(createRandom(2));
  const ignored = (base: 'fit' | 'cover'): number =>
    scaleAndCrop(
      sample,
      [1, 1],
      base,
      { ...target, width: 100, height: 50 },
      createRandom(3),
    ).classMask?.data.filter((value) => value === IGNORE).length ?? 0;
  assert.ok(ignored('fit') > 0);
  assert.equal(ignored('cover'), 0);
});

describe('IoU crop', () => {
  const overlapOf = (box: JointObject['box'], width: number, height: number): number =>
    (box[2] * box[3]) / (width * height);

  test('some object overlaps the crop as much as the one least IoU there is; what stays was centred in it', () => {
    let cropped = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = createRandom(seed);
      const sample = painted(random);
      const crop = { ...iouCrops.torchvision, leastIou: [0.3] };
      const { image, objects } = randomIouCrop(sample, crop, random);
      assertAligned({ ...randomIouCrop(sample, crop, createRandom(seed)) }, 0);
      if (image === sample.image) continue;
      cropped++;
      // An object cut by the crop overlaps it by no less than its own whole did.
      assert.ok(objects.some(({ box }) => overlapOf(box, image.width, image.height) >= 0.3 - 1e-9));
      const ratio = image.width / image.height;
      assert.ok(ratio >= 0.5 && ratio <= 2);
      for (const { category, box } of objects) {
        const whole = sample.objects[category]?.box ?? [0, 0, 0, 0];
        assert.ok(box[2] * 2 >= whole[2] || box[2] === image.width);
        assert.ok(box[3] * 2 >= whole[3] || box[3] === image.height);
      }
    }
    assert.ok(cropped > 20, `${cropped} cropped`);
  });

  test('a picture without objects, or with crowds alone, stays whole', () => {
    const random = createRandom(1);
    const sample = painted(random);
    const crop = { ...iouCrops.torchvision, leastIou: [0] };
    assert.equal(randomIouCrop({ ...sample, objects: [] }, crop, random).image, sample.image);
    const crowds = sample.objects.map((object) => ({ ...object, crowd: true }));
    assert.equal(randomIouCrop({ ...sample, objects: crowds }, crop, random).image, sample.image);
  });
});

test('nearest neighbour takes the number under each centre, as Pillow does', () => {
  const map = { width: 5, height: 1, data: Uint8Array.from([1, 2, 3, 4, 5]) };
  assert.deepEqual([...resizeIndices(map, 3, 1).data], [1, 3, 5]);
  assert.deepEqual([...resizeIndices(map, 2, 1).data], [2, 4]);
  assert.deepEqual([...resizeIndices(map, 8, 1).data], [1, 1, 2, 3, 3, 4, 5, 5]);
});
