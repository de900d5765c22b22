import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

/** [N,…,C] ↔ [N,C,…]; tensors of fewer than three axes have but one order. */

export function toChannelsFirst({ shape, data }: Tensor): Tensor {
  if (shape.length < 3) return { shape, data };
  const channels = shape.at(-1) ?? 1;
  const positions = positionCount(shape, channels, data.length);
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const row = Math.floor(i / channels);
    const [image, position] = [Math.floor(row / positions), row % positions];
    result[(image * channels + (i % channels)) * positions + position] = data[i] ?? 0;
  }
  return { shape: [shape[0] ?? 1, channels, ...shape.slice(1, -1)], data: result };
}

export function toChannelsLast({ shape, data }: Tensor): Tensor {
  if (shape.length < 3) return { shape, data };
  const channels = shape[1] ?? 1;
  const positions = positionCount(shape, channels, data.length);
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const plane = Math.floor(i / positions);
    const [image, channel] = [Math.floor(plane / channels), plane % channels];
    result[(image * positions + (i % positions)) * channels + channel] = data[i] ?? 0;
  }
  return { shape: [shape[0] ?? 1, ...shape.slice(2), channels], data: result };
}

function positionCount(shape: Shape, channels: number, length: number): number {
  return length / (channels * (shape[0] ?? 1));
}
