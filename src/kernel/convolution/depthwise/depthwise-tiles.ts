/** Depthwise windows and their gradients, channels in the vector lanes: which block sizes, which tiles. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../../graph/activations.ts';
import type { Pair } from '../../../graph/geometry.ts';
import { storesPast } from '../../plan/large-tensors.ts';
import type { BufferPlace } from '../../plan/plan.ts';
import { further, type Tile } from '../../plan/plan.ts';
import { type ReachAxis, reachBlocks } from '../../plan/reach.ts';
import { spans, wantedTiles } from '../../plan/split-work.ts';
import { ACTIVATION_SCRATCH } from '../../vector/activation.ts';
import { type PixelStorage, pixelBytes } from '../../vector/storage.ts';
import { depthwiseKernel } from './depthwise-kernel.ts';
import {
  type DepthwiseClasses,
  type DepthwiseTerm,
  type DepthwiseTile,
  depthwiseSlots,
} from './depthwise-spec.ts';

/** Best measured first; the first that fits is taken. Larger blocks gain nothing in a net but code. */
const tileSizes: readonly DepthwiseTile[] = [
  { rows: 2, columns: 4, keepsTaps: true },
  { rows: 1, columns: 4, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: true },
  { rows: 2, columns: 4, keepsTaps: false },
];
/** V8 allocates registers badly over long bodies, so blocks are small where taps are many. */
const wasmTileSizes: readonly DepthwiseTile[] = [
  { rows: 1, columns: 4, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: true },
  { rows: 1, columns: 2, keepsTaps: false },
];

/** The tiles whose sums and taps fit the registers. */
export function depthwiseTileSizes(target: VectorTarget, kernel: Pair): readonly DepthwiseTile[] {
  const taps = kernel[0] * kernel[1];
  const sizes = target.pointerBytes === 4 ? wasmTileSizes : tileSizes;
  return sizes.filter(
    ({ rows, columns, keepsTaps }) =>
      rows * columns + Math.max(keepsTaps ? taps + 1 : 3, ACTIVATION_SCRATCH) <= target.vectorRegisters,
  );
}

export interface DepthwiseOperand {
  readonly taps: DepthwiseTerm;
  readonly input: BufferPlace;
  readonly weights: BufferPlace;
}

/** Inputs [images, input, channels] → `output` [images, output, channels], plus a residual of its shape if there is one. */
export interface DepthwiseTask {
  readonly images: number;
  readonly channels: number;
  readonly kernel: Pair;
  /** Height and width of what is read. */
  readonly input: Pair;
  /** What each output row and column reads. */
  readonly rows: ReachAxis;
  readonly columns: ReachAxis;
  /** What is summed: inputs as `input` says, and weights packed as depthwise-kernel.ts has them. */
  readonly terms: readonly DepthwiseOperand[];
  readonly residual: BufferPlace | undefined;
  readonly activation: ActivationName | null;
  readonly classes?: DepthwiseClasses;
  readonly storage: PixelStorage;
  /** Products of all sums, for the number of tiles. */
  readonly macs: number;
}

/** Bound by memory: its arithmetic takes about this many times as long as that of a matrix product. */
const SLOWNESS = 3;

export function depthwiseTaskTiles(
  target: VectorTarget,
  task: DepthwiseTask,
  given?: DepthwiseTile,
): readonly Tile[] {
  const tile = given ??
    depthwiseTileSizes(target, task.kernel)[0] ?? { rows: 1, columns: 1, keepsTaps: false };
  const strips = reachBlocks(task.rows, tile.rows);
  const columns = reachBlocks(task.columns, tile.columns);
  const inputRow = task.input[1] * task.channels * 4;
  const outputRow = task.columns.positions * pixelBytes(task.storage, task.channels);
  const wanted = wantedTiles(2 * task.macs * SLOWNESS);
  const most = Math.ceil((task.images * Math.ceil(task.rows.positions / tile.rows)) / wanted);
  const kernels = strips.map((rows) => {
    const { kernel, channels, activation, classes, storage } = task;
    const residual = task.residual !== undefined;
    const terms = task.terms.map(({ taps }) => taps);
    const strides = { inputRow, outputRow, tile };
    const past =
      storage === 'f32' && storesPast(task.images, task.images * task.rows.positions * outputRow, channels);
    const epilogue = { residual, activation, output: storage, past };
    return {
      rows,
      kernel: depthwiseKernel({ kernel, channels, rows, columns, terms, classes, ...strides, ...epilogue }),
    };
  });
  return Array.from({ length: task.images }, (_, image) =>
    kernels.flatMap(({ rows, kernel }) =>
      spans(rows.repeat, Math.ceil(rows.repeat / most)).map(({ first, end }): Tile => {
        const read = (image * task.input[0] + rows.start + first * rows.advance) * inputRow;
        const written = (image * task.rows.positions + rows.first + first * rows.reaches.length) * outputRow;
        const [term, ...more] = task.terms.map(({ input, weights }) => ({
          input: further(input, read),
          weights,
        }));
        const slots = depthwiseSlots({
          input: term?.input ?? 0,
          weights: term?.weights ?? 0,
          output: { buffer: 'output', offset: written },
          residual: task.residual ? further(task.residual, written) : 0,
          strips: end - first,
          more,
        });
        return { kernel, slots };
      }),
    ),
  ).flat();
}
