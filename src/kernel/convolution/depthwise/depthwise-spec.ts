/** What the code of a depthwise kernel depends on, and what its records hold. */
import type { ActivationName } from '../../../graph/activations.ts';
import type { Slot } from '../../plan/plan.ts';
import type { ReachBlock } from '../../plan/reach.ts';
import type { PixelStorage } from '../../vector/storage.ts';

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface DepthwiseSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Number of channels. */
  readonly channels: number;
  /** A strip: what its rows read, and how many rows further the next one reads. */
  readonly rows: Pick<ReachBlock, 'reaches' | 'advance'>;
  readonly columns: readonly ReachBlock[];
  /** From one row of the input to the next. */
  readonly inputRow: number;
  readonly outputRow: number;
  readonly tile: DepthwiseTile;
  readonly classes?: DepthwiseClasses | undefined;
  /** What is summed: one input with its weights each. */
  readonly terms: readonly DepthwiseTerm[];
  readonly residual: boolean;
  readonly activation: ActivationName | null;
  readonly output: PixelStorage;
  /** The output is written past the caches. */
  readonly past: boolean;
}

/** Which taps an input is read through: all, or the one at the window's centre, which `centre` numbers. */
export type DepthwiseTerm = 'window' | 'centre';

/** What is computed at once. */
export interface DepthwiseTile {
  /** Output rows and columns whose sums are in registers. */
  readonly rows: number;
  readonly columns: number;
  /** All taps stay in registers and each input is loaded once; else inputs are operands from memory. */
  readonly keepsTaps: boolean;
}

/** Positions of an axis with taps i·taps … (i + 1)·taps − 1 are of class i; those without any give 0. */
export interface DepthwiseClasses {
  readonly taps: readonly [height: number, width: number];
}

/** Rows of biases before those of taps. */
export function biasRows({ kernel, classes }: Pick<DepthwiseSpec, 'kernel' | 'classes'>): number {
  return classes ? (kernel[0] / classes.taps[0]) * (kernel[1] / classes.taps[1]) : 1;
}

/** Rows of a vector's weights. */
export function depthwiseWeightRows(spec: Pick<DepthwiseSpec, 'kernel' | 'classes'>): number {
  return biasRows(spec) + spec.kernel[0] * spec.kernel[1];
}

/** The tap at the centre of a window, where it has one. */
export function centreOf([height, width]: readonly [height: number, width: number]): number {
  return ((height - 1) / 2) * width + (width - 1) / 2;
}

export const SLOT = { input: 1, weights: 2, output: 3, residual: 4, strips: 5, more: 6 } as const;

export interface DepthwiseRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly strips: number;
  /** Terms but the first, laid out alike. */
  readonly more: readonly { readonly input: Slot; readonly weights: Slot }[];
}

export function depthwiseSlots(record: DepthwiseRecord): readonly Slot[] {
  const { input, weights, output, residual, strips, more } = record;
  return [input, weights, output, residual, strips, ...more.flatMap((term) => [term.input, term.weights])];
}
