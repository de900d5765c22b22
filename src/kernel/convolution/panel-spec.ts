/** What the code of a panel kernel depends on, and what its records hold. */
import type { ActivationName } from '../../graph/activations.ts';
import type { Slot } from '../plan/plan.ts';
import type { TapRange } from '../plan/window-blocks.ts';

export interface PanelBlock {
  /** Taps along the line that lie inside the input, a range for each position. */
  readonly taps: readonly TapRange[];
  /** How often the block comes in a row; `slot` takes it from the record. */
  readonly repeat: number | 'slot';
  /** Bytes from the line's first input to what offsets of this block's first window count from. */
  readonly start: number;
  /** Bytes by which the first window's first tap lies before `start`: within the padding. */
  readonly before: number;
}

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface PanelSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Numbers that one tap adds. */
  readonly channels: number;
  readonly tapStride: number;
  readonly kernelRowStride: number;
  readonly positionStride: number;
  readonly lineStride: number;
  readonly outputStride: number;
  /** From one output line to the next. */
  readonly outputLineStride: number;
  /** Vectors in a panel, and lanes of the last one that are meant. */
  readonly vectors: number;
  readonly lastLanes: number;
  readonly blocks: readonly PanelBlock[];
  /** How far ahead weights are fetched, 0 for not at all: the next panel's where they are not in the caches. */
  readonly prefetch: number;
  /** Weights further on that each turn of the loop fetches into the second cache, in bytes; 0 for none. */
  readonly ahead: number;
  /** The next block's input is fetched meanwhile, as no cache holds it; only where the window is a single point. */
  readonly streams: boolean;
  /** The output is written past the caches. */
  readonly past: boolean;
  /** The record says which kernel rows lie inside the input. */
  readonly clipsRows: boolean;
  readonly residual: boolean;
  readonly activation: ActivationName | null;
}

export const SLOT = {
  input: 1,
  weights: 2,
  output: 3,
  residual: 4,
  panels: 5,
  lines: 6,
  kernelRows: 7,
  skippedWeights: 8,
  ahead: 9,
  repeats: 10,
} as const;

export interface PanelRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly panels: number;
  readonly lines: number;
  /** Kernel rows inside the input, and bytes of weights of those before them. */
  readonly kernelRows: number;
  readonly skippedWeights: number;
  /** Bytes from a panel to what is fetched meanwhile. */
  readonly ahead: number;
  /** For each block with a repeat of `slot`. */
  readonly repeats: readonly number[];
}

export function panelSlots(record: PanelRecord): readonly Slot[] {
  const { input, weights, output, residual, panels, lines, kernelRows, skippedWeights, ahead, repeats } =
    record;
  return [input, weights, output, residual, panels, lines, kernelRows, skippedWeights, ahead, ...repeats];
}
