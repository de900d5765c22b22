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

/**
 * Multiply-adds that take as long as a pass over one f32, read or written; a multiply-add of a product of matrices is
 * the unit. Fitted to blocks of S0 and S1 (bench/merged-blocks.ts): ratios of both forms come within about a quarter.
 */
const PASS = 14;
/** How much longer a multiply-add takes where a group is one channel: no product of matrices. */
const LONE_CHANNEL = 1.4;
/** Shares of a symmetric product that are computed. */
const UPPER = 0.65;
/** Passes over x and y of a step. */
const PASSES = {
  /** y: write, statistics, normalize; their gradient's two reads and a write; gradients by weight and by input. */
  branchY: 8,
  /** Convolution, its two gradients, their sum; one channel a group: all branches are read together. */
  branchX: 4,
  loneBranchX: 1,
  skipX: 6,
  /** y and dy where branches end, and dx. */
  apartY: 5,
  apartX: 1,
  /** x: moments, convolution, two gradients, moments' gradient, sum. y: write, activation, bias, two gradients. */
  mergedX: 9,
  mergedY: 7,
} as const;

/** What a training step of a block costs in multiply-adds, roughly: arithmetic, and memory traffic as its equivalent. */
export function blockCosts(block: MergeableBlock): { readonly apart: number; readonly merged: number } {
  const { geometry, input, outChannels, full, point, skip } = block;
  const [n = 1, height = 1, width = 1, channels = 1] = input;
  const { groups, kernel } = geometry;
  const positions = n * elementCount(windowOutputSize(geometry, height, width));
  const inner = channels / groups;
  const patch = inner * kernel[0] * kernel[1];
  const lone = inner === 1 && groups > 1;
  const x = PASS * elementCount(input);
  const y = PASS * positions * outChannels;
  const unit = lone ? LONE_CHANNEL : 1;
  const convolution = 3 * unit * positions * outChannels * patch;
  const points = 3 * unit * positions * outChannels * inner;
  const branch = (lone ? PASSES.loneBranchX : PASSES.branchX) * x + PASSES.branchY * y;
  const moments = lone ? loneMoments(block, positions) : (1 + UPPER) * positions * groups * patch ** 2;
  const algebra = (1 + UPPER) * (full + point) * outChannels * patch ** 2;
  return {
    apart:
      full * (convolution + branch) +
      point * (points + branch) +
      (skip ? PASSES.skipX * x : 0) +
      PASSES.apartX * x +
      PASSES.apartY * y,
    merged: convolution + moments + algebra + PASSES.mergedX * x + PASSES.mergedY * y,
  };
}

/** Products of all pairs of taps at each position, and a filter as wide as their distances at each input. */
function loneMoments({ geometry, input }: MergeableBlock, positions: number): number {
  const [height, width] = geometry.kernel;
  const taps = height * width;
  const pairs = (taps * (taps + 3)) / 2;
  const distances = (2 * height - 1) * (2 * width - 1);
  return LONE_CHANNEL * (positions * geometry.groups * pairs + elementCount(input) * distances);
}

/** Whether a step is expected to take less time with the block's branches merged. */
export function paysToMerge(block: MergeableBlock): boolean {
  if (block.full + block.point + (block.skip ? 1 : 0) < 2) return false;
  const { apart, merged } = blockCosts(block);
  return merged < apart;
}
