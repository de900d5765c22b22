import type { AnnotatedDataset, AnnotatedObject, Annotation } from '../../src/data/annotations/annotated.ts';
import type { Sample } from '../../src/data/dataset.ts';
import { memoryFiles } from '../../src/data/files.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { pngOf } from './pictures.ts';
import { makePng } from './png.ts';

const colours = [
  [230, 20, 20],
  [20, 230, 20],
  [20, 20, 230],
] as const;

export interface AnnotatedOptions {
  /** Whether the truth is a class mask (0: ground, colours from 1) instead of boxes. */
  readonly masks?: boolean;
  /** Pictures that are none, and those whose mask is of another size. */
  readonly broken?: readonly number[];
  readonly wrongMask?: readonly number[];
  /** Sides of the pictures, drawn between them. */
  readonly sides?: readonly [least: number, most: number];
}

/** Pictures of up to three rectangles, red, green and blue, each in a band of its own on grey ground. */
export async function annotatedPictures(count: number, options: AnnotatedOptions = {}) {
  const { masks = false, broken = [], wrongMask = [], sides = [56, 80] } = options;
  const contents = new Map<string, Uint8Array>();
  const samples = Array.from({ length: count }, (_, index): Sample<Annotation> => {
    const random = createRandom(index + 1);
    const side = (): number => sides[0] + random.integer(sides[1] - sides[0] + 1);
    const [width, height] = [side(), side()];
    const image = { width, height, data: new Uint8Array(width * height * 3).fill(90) };
    const mask = new Uint8Array(width * height);
    const band = Math.floor(height / 3);
    const objects = colours.flatMap((colour, category): AnnotatedObject[] => {
      if (random.uniform() < 0.3) return [];
      const [w, h] = [
        Math.floor(width / 4) + random.integer(width >> 1),
        band - 2 - random.integer(band >> 1),
      ];
      const [x, y] = [random.integer(width - w), category * band + random.integer(band - h)];
      for (let row = y; row < y + h; row++)
        for (let column = x; column < x + w; column++) {
          image.data.set(colour, (row * width + column) * 3);
          mask[row * width + column] = category + 1;
        }
      const where = `picture ${index}, object ${category}`;
      return [{ category, box: [x, y, w, h], crowd: false, difficult: false, area: w * h, where }];
    });
    const path = `images/${index}.png`;
    contents.set(path, broken.includes(index) ? Uint8Array.of(1, 2, 3) : pngOf(image));
    const about = { size: { width, height }, where: path };
    if (!masks) return { path, target: { ...about, objects } };
    const classMask = `masks/${index}.png`;
    const [w, h] = wrongMask.includes(index) ? [3, 3] : [width, height];
    const rows = new Uint8Array(h * (w + 1));
    for (let y = 0; y < h; y++) rows.set(mask.subarray(y * w, (y + 1) * w), y * (w + 1) + 1);
    contents.set(classMask, makePng({ width: w, height: h, colourType: 0, rows }));
    return { path, target: { ...about, objects: [], classMask } };
  });
  const names = ['red', 'green', 'blue'];
  const data: AnnotatedDataset = {
    name: 'rectangles',
    files: memoryFiles('rectangles', contents),
    samples,
    classes: masks ? ['ground', ...names] : names,
    coding: masks ? Uint8Array.from({ length: 256 }, (_, i) => (i < 4 ? i : 255)) : undefined,
  };
  return { data, colourOf: (category: number): readonly number[] => colours[category] ?? [90, 90, 90] };
}
