import type { Image } from './image.ts';

/** EXIF's orientation tag: 1 is upright, 2 to 8 are its mirrored and turned forms. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export function toOrientation(value: unknown): Orientation {
  const known = ([1, 2, 3, 4, 5, 6, 7, 8] as const).find((o) => o === value);
  return known ?? 1;
}

/** Where the upright picture's top left pixel lies in the stored one, and whether its rows are stored columns. */
const corners: Readonly<Record<Orientation, { right: boolean; bottom: boolean; turned: boolean }>> = {
  1: { right: false, bottom: false, turned: false },
  2: { right: true, bottom: false, turned: false },
  3: { right: true, bottom: true, turned: false },
  4: { right: false, bottom: true, turned: false },
  5: { right: false, bottom: false, turned: true },
  6: { right: false, bottom: true, turned: true },
  7: { right: true, bottom: true, turned: true },
  8: { right: true, bottom: false, turned: true },
};

/** The picture upright, as the camera's EXIF tag asks for; 5 to 8 swap width and height. */
export function applyOrientation(image: Image, orientation: Orientation): Image {
  if (orientation === 1) return image;
  const { right, bottom, turned } = corners[orientation];
  const width = turned ? image.height : image.width;
  const height = turned ? image.width : image.height;
  const along = right ? -1 : 1;
  const down = bottom ? -image.width : image.width;
  const stepX = (turned ? down : along) * 3;
  const stepY = (turned ? along : down) * 3;
  const start = ((bottom ? image.height - 1 : 0) * image.width + (right ? image.width - 1 : 0)) * 3;
  const source = image.data;
  const data = new Uint8Array(source.length);
  let o = 0;
  for (let y = 0; y < height; y++) {
    let i = start + y * stepY;
    for (let x = 0; x < width; x++, i += stepX) {
      data[o++] = source[i] ?? 0;
      data[o++] = source[i + 1] ?? 0;
      data[o++] = source[i + 2] ?? 0;
    }
  }
  return { width, height, data };
}
