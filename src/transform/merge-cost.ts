import { type ConvGeometry, windowOutputSize } from '../graph/geometry.ts';
import { elementCount, type Shape } from '../tensor/tensor.ts';

/** The end of a block whose branches can be one convolution while it trains. */
export interface MergeableBlock {
  /** The `normSum`'s. */
  readonly name: string;
  readonly geometry: ConvGeometry;
  /** NHWC */
  readonly input: Shape;
  readonly outChannels: number;
  /** Branches with the geometry's kernel, and beside it with a 1×1 one. */
  readonly full: number;
  readonly point: number;
  readonly skip: boolean;
}

/** Multiply-adds that take as long as one byte to or from memory. */
const MACS_A_BYTE = 5;
/** Times longer that a multiply-add takes where a group is one channel: no product of matrices. */
const LONE_CHANNEL = 3;
/** Passes over a tensor: forward, statistics, backward. Counted in reads and writes of x and of y. */
const PASSES = {
  /** x: convolution, its two gradients, their sum. y: write, statistics, normalize; statistics, dy; two gradients. */
  branch: { x: 4, y: 8 },
  skip: { x: 6, y: 0 },
  apart: { x: 0, y: 5 },
  /** x: moments, convolution, two gradients, moments' gradient, their sum. y: write, activation, bias, two gradients. */
  merged: { x: 8, y: 7 },
} as const;

/** A training step's time in multiply-adds, roughly: arithmetic, and memory traffic as its equivalent. */
export function blockCosts(block: MergeableBlock): { readonly apart: number; readonly merged: number } {
  const { geometry, input, outChannels, full, point, skip } = block;
  const [n = 1, height = 1, width = 1, channels = 1] = input;
  const { groups, kernel } = geometry;
  const positions = n * elementCount(windowOutputSize(geometry, height, width));
  const inner = channels / groups;
  const patch = inner * kernel[0] * kernel[1];
  const slowness = inner === 1 ? LONE_CHANNEL : 1;
  const bytes = ({ x, y }: { readonly x: number; readonly y: number }): number =>
    4 * MACS_A_BYTE * (x * elementCount(input) + y * positions * outChannels);
  const convolution = 3 * slowness * positions * outChannels * patch;
  const points = 3 * slowness * positions * outChannels * inner;
  const moments = slowness * positions * channels * kernel[0] * kernel[1] * (patch + 1);
  const algebra = 3 * (full + point) * outChannels * patch * patch;
  return {
    apart:
      full * (convolution + bytes(PASSES.branch)) +
      point * (points + bytes(PASSES.branch)) +
      (skip ? bytes(PASSES.skip) : 0) +
      bytes(PASSES.apart),
    merged: convolution + moments + algebra + bytes(PASSES.merged),
  };
}

/** Whether a step is expected to take less time with the block's branches merged. */
export function paysToMerge(block: MergeableBlock): boolean {
  if (block.full + block.point + (block.skip ? 1 : 0) < 2) return false;
  const { apart, merged } = blockCosts(block);
  return merged < apart;
}
