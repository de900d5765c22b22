import type { ConvGeometry } from '../../graph/geometry.ts';
import { windowOutputSize } from '../../graph/geometry.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { tapsInside, type WindowAxis, windowAxis } from '../plan/window-blocks.ts';

/** Sizes of the patches that a convolution reads. */
export interface PatchLayout {
  readonly geometry: ConvGeometry;
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly groups: number;
  /** Channels of a group. */
  readonly inner: number;
  readonly taps: number;
  /** P, numbers in a group's patch. */
  readonly length: number;
  /** Patches of all images. */
  readonly positions: number;
  readonly vertical: WindowAxis;
  readonly horizontal: WindowAxis;
}

/**
 * @param input NHWC. Where nothing tells positions apart (1×1 at stride 1), all pixels are one column.
 */
export function patchLayout(input: Shape, geometry: ConvGeometry): PatchLayout {
  const [n = 1, h = 1, w = 1, channels = 1] = input;
  const point = geometry.kernel.join() === '1,1' && geometry.stride.join() === '1,1';
  const flat = point && geometry.padding.every((size) => size === 0);
  const [images, height, width] = flat ? [1, n * h * w, 1] : [n, h, w];
  const [outHeight, outWidth] = windowOutputSize(geometry, height, width);
  const { groups, kernel } = geometry;
  const inner = channels / groups;
  const taps = kernel[0] * kernel[1];
  return {
    geometry,
    images,
    height,
    width,
    channels,
    outHeight,
    outWidth,
    groups,
    inner,
    taps,
    length: inner * taps,
    positions: images * outHeight * outWidth,
    vertical: windowAxis(geometry, 0, height, outHeight),
    horizontal: windowAxis(geometry, 1, width, outWidth),
  };
}

/** For each tap, the share of positions at which it reads inside the input. */
export function tapShares({ vertical, horizontal }: PatchLayout): readonly number[] {
  const rows = axisShares(vertical);
  const columns = axisShares(horizontal);
  return rows.flatMap((row) => columns.map((column) => row * column));
}

function axisShares(axis: WindowAxis): readonly number[] {
  const counts = Array.from({ length: axis.kernel }, () => 0);
  for (let position = 0; position < axis.outSize; position++) {
    const { first, end } = tapsInside(axis, position);
    for (let tap = first; tap < end; tap++) counts[tap] = (counts[tap] ?? 0) + 1;
  }
  return counts.map((count) => count / axis.outSize);
}
