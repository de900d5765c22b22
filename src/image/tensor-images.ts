import { ShapeError } from '../errors.ts';
import { elementCount, formatShape, type Tensor } from '../tensor/tensor.ts';
import type { EvalTransform } from './eval-transform.ts';
import type { Image } from './image.ts';

/**
 * Pictures from a normalized batch, for people to look at: x·std + mean, rounded and limited to 8 bits.
 * @param batch [n, height, width, 3]
 * @throws ShapeError for another shape
 */
export function tensorImages(
  { shape, data }: Tensor,
  { scale, mean, std }: Pick<EvalTransform, 'scale' | 'mean' | 'std'>,
): readonly Image[] {
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  if (shape.length !== 4 || channels !== 3 || data.length !== elementCount(shape))
    throw new ShapeError(
      `tensorImages: expected pictures [n,height,width,3], found ${formatShape(shape)} with ${data.length} values.`,
    );
  const size = height * width * 3;
  return Array.from({ length: count }, (_, n) => {
    const pixels = new Uint8ClampedArray(size);
    for (let i = 0; i < size; i++) {
      const c = i % 3;
      pixels[i] = ((data[n * size + i] ?? 0) * (std[c] ?? 1) + (mean[c] ?? 0)) * (255 / scale);
    }
    return { width, height, data: pixels };
  });
}
