import { checkSize, type Image } from './image.ts';
import type { Region } from './resize.ts';

/** Python's round: halves go to the even neighbour. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Where torchvision's `CenterCrop` lies: offset round((size − crop)/2), halves to even. Where the picture is smaller
 * than the crop the offset is −⌊(crop − size)/2⌋ and `cropImage` fills up with black.
 * @see torchvision.transforms.functional.center_crop; mmcv CenterCrop rounds the same way
 */
export function centerRegion(
  imageWidth: number,
  imageHeight: number,
  cropWidth: number,
  cropHeight: number,
): Region {
  const offset = (size: number, crop: number): number =>
    crop > size ? 0 - Math.floor((crop - size) / 2) : roundHalfEven((size - crop) / 2);
  return {
    x: offset(imageWidth, cropWidth),
    y: offset(imageHeight, cropHeight),
    width: cropWidth,
    height: cropHeight,
  };
}

/** The part of a picture inside `region`; whatever of the region lies outside the picture is black. */
export function cropImage(image: Image, region: Region): Image {
  const { x, y, width, height } = region;
  checkSize(width, height, 'cropImage');
  if (x === 0 && y === 0 && width === image.width && height === image.height) return image;
  const data = new Uint8Array(width * height * 3);
  const left = Math.max(0, x);
  const right = Math.min(image.width, x + width);
  const bottom = Math.min(image.height, y + height);
  if (left < right) {
    for (let row = Math.max(0, y); row < bottom; row++) {
      const from = row * image.width;
      data.set(
        image.data.subarray((from + left) * 3, (from + right) * 3),
        ((row - y) * width + left - x) * 3,
      );
    }
  }
  return { width, height, data };
}
