/** Depthwise weights as depthwise-kernel.ts reads them: for each vector of channels a row of biases, then taps. */
import type { Tensor } from '../../../tensor/tensor.ts';
import { copyTiles } from '../../copy/strided-copy.ts';
import { further, type PackedLater, type Tile } from '../../plan/plan.ts';
import type { BufferOperand } from '../convolution-row.ts';
import { packTile } from '../pack-weights.ts';

export interface DepthwiseWeightSizes {
  readonly channels: number;
  readonly taps: number;
  readonly lanes: number;
}

/** Whole vectors of channels, each with its biases and taps. */
export function packedDepthwiseBytes({ channels, taps, lanes }: DepthwiseWeightSizes): number {
  return Math.ceil(channels / lanes) * lanes * (1 + taps) * 4;
}

/** @param weight [channels, 1, kH, kW] @param bias [channels], or absent for zeros */
export function packDepthwise(sizes: DepthwiseWeightSizes, weight: Tensor, bias?: Tensor): PackedLater {
  const { channels, taps, lanes } = sizes;
  const write = (zeros: Uint8Array): void => {
    const data = new Float32Array(zeros.buffer, zeros.byteOffset, zeros.length / 4);
    for (let c = 0; c < channels; c++) {
      const first = Math.floor(c / lanes) * lanes * (1 + taps) + (c % lanes);
      data[first] = bias?.data[c] ?? 0;
      for (let t = 0; t < taps; t++) data[first + (1 + t) * lanes] = weight.data[c * taps + t] ?? 0;
    }
  };
  return { length: packedDepthwiseBytes(sizes), write };
}

/** The same while running. @param offset bytes into scratch memory */
export function packDepthwiseTiles(
  { channels, taps, lanes }: DepthwiseWeightSizes,
  weight: BufferOperand,
  bias?: BufferOperand,
  offset = 0,
): readonly Tile[] {
  const whole = Math.floor(channels / lanes);
  const rest = channels - whole * lanes;
  const spec = { rowNumbers: lanes, inner: taps, taps: 1, between: { channels: 1, taps } };
  const pack = (columns: number, vector: number, panels: number): readonly Tile[] =>
    panels === 0 || columns === 0
      ? []
      : [
          packTile(
            { ...spec, columns },
            { weight, bias, first: vector * lanes, panels, offset: offset + vector * lanes * (1 + taps) * 4 },
          ),
        ];
  return [...pack(lanes, 0, whole), ...pack(rest, whole, 1)];
}

/**
 * Weights of one tap, packed where a window's tap number `centre` lies: all else stays as it is.
 * @param offset bytes into scratch memory
 */
export function packCentreTiles(
  { channels, taps, lanes }: DepthwiseWeightSizes,
  centre: number,
  weight: BufferOperand,
  offset: number,
): readonly Tile[] {
  const whole = Math.floor(channels / lanes);
  const rest = channels - whole * lanes;
  const to = { buffer: 'scratch', offset: offset + (1 + centre) * lanes * 4 } as const;
  const from = { buffer: weight.buffer, offset: 0 } as const;
  const copy = (vectors: number, count: number, first: number): readonly Tile[] =>
    vectors === 0 || count === 0
      ? []
      : copyTiles(
          [
            { count: vectors, from: lanes, to: (1 + taps) * lanes },
            { count: 1, from: 0, to: 0 },
            { count, from: 1, to: 1 },
          ],
          { ...from, offset: first * lanes * 4 },
          further(to, first * (1 + taps) * lanes * 4),
        );
  return [...copy(whole, lanes, 0), ...copy(1, rest, whole)];
}
