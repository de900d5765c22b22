/**
 * Gradients of any convolution as matrix products, group by group. With P the matrix of patches (patches.ts):
 *
 *     dW = dyᵀ·P        dP = dy·W, folded back into dx
 *
 * Patches are made and used up a few at a time, so that they stay in the caches.
 */
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { copyTiles } from '../copy/strided-copy.ts';
import { sideBySide } from '../plan/join-plans.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type TaskPlan, type TileStep } from '../plan/plan.ts';
import { type ScratchLayout, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { type Span, spans } from '../plan/split-work.ts';
import { planGemm } from '../product/gemm.ts';
import {
  type ConvGradientSizes,
  type ConvGradientTask,
  convGradientSizes,
  type InputGradRow,
  type InputGradTask,
  termsOf,
  type WeightGradRow,
} from './conv-gradient-row.ts';
import { foldTiles } from './fold-patches.ts';
import { patchesAreInput, patchNumbers, patchTiles } from './patches.ts';

/** Patches that are made before they are used. */
const PATCH_BYTES = 2 ** 21;

/** Weights are OIHW outside and [O][kH·kW][C/groups] in products, where that is not the same. */
function turnsWeights({ taps, groupIn }: ConvGradientSizes): boolean {
  return taps > 1 && groupIn > 1;
}

function turnedWeightStep(
  { taps, groupIn, outChannels }: ConvGradientSizes,
  from: BufferPlace,
  to: BufferPlace,
  back: boolean,
): TileStep {
  const [outside, inside] = [
    { tap: 1, channel: taps },
    { tap: groupIn, channel: 1 },
  ];
  const [source, result] = back ? [inside, outside] : [outside, inside];
  const axes = [
    { count: outChannels, from: taps * groupIn, to: taps * groupIn },
    { count: groupIn, from: source.channel, to: result.channel },
    { count: taps, from: source.tap, to: result.tap },
  ] as const;
  return copyTiles(axes, from, to);
}

/** Where the operands of a group's product lie. */
interface GroupPlaces {
  readonly a: (group: number) => BufferPlace;
  readonly b: (group: number) => BufferPlace;
  readonly c: (group: number) => BufferPlace;
}

/** One product for each group of channels, side by side. */
type GroupProducts = (plan: TaskPlan, places: GroupPlaces) => readonly TileStep[];

/** @param plans all that there will be: they use the same scratch memory one after the other */
function groupProducts(layout: ScratchLayout, groups: number, plans: readonly TaskPlan[]): GroupProducts {
  const bytes = Math.max(...plans.map(({ scratchBytes }) => scratchBytes));
  const scratch = Array.from({ length: groups }, () => scratchAt(layout.take(bytes / 4)));
  return (plan, { a, b, c }) =>
    sideBySide(
      scratch.map((place, group) => ({
        plan,
        places: { input0: a(group), input1: b(group), output: c(group), scratch: place },
      })),
    );
}

/** Lines of output positions, a few at a time. @param least bytes of patches that should be used at once */
function lineChunks(sizes: ConvGradientSizes, least: number): readonly Span[] {
  const lines = sizes.images * sizes.outHeight;
  const bytes = sizes.outWidth * patchNumbers(sizes) * 4;
  return spans(lines, Math.ceil((lines * bytes) / Math.max(PATCH_BYTES, least)));
}

function planDenseWeightGrad(target: VectorTarget, task: ConvGradientTask): TaskPlan {
  const sizes = convGradientSizes(task);
  const { images, outHeight, outWidth, outChannels, groups, groupIn, groupOut, taps } = sizes;
  const scratch = scratchLayout();
  const weightNumbers = outChannels * groupIn * taps;
  const turns = turnsWeights(sizes);
  const output: BufferPlace = { buffer: 'output', offset: 0 };
  const weight = turns ? scratchAt(scratch.take(weightNumbers)) : output;
  const asTheyAre = patchesAreInput(sizes);
  const row = patchNumbers(sizes);
  // Each time it is used up, what was summed so far is read and written again.
  const chunks = asTheyAre
    ? [{ first: 0, end: images * outHeight }]
    : lineChunks(sizes, 4 * weightNumbers * 4);
  const most = Math.max(...chunks.map(({ first, end }) => end - first));
  const x: BufferPlace = { buffer: 'input0', offset: 0 };
  const patches = asTheyAre ? x : scratchAt(scratch.take(most * outWidth * row));
  const plans = chunks.map((lines) =>
    planGemm(target, {
      m: groupOut,
      n: taps * groupIn,
      k: (lines.end - lines.first) * outWidth,
      transposeA: true,
      transposeB: false,
      accumulate: lines.first > 0,
      rounded: task.rounded,
      leading: { a: outChannels, b: row },
    }),
  );
  const products = groupProducts(scratch, groups, plans);
  const steps = chunks.flatMap((lines, i) => {
    const dy = further({ buffer: 'input1', offset: 0 }, 4 * lines.first * outWidth * outChannels);
    const plan = plans[i];
    if (plan === undefined) return [];
    const made = asTheyAre ? [] : [patchTiles(sizes, lines, x, patches)];
    const used = products(plan, {
      a: (group) => further(dy, 4 * group * groupOut),
      b: (group) => further(patches, 4 * group * taps * groupIn),
      c: (group) => further(weight, 4 * group * groupOut * taps * groupIn),
    });
    return [...made, ...used];
  });
  if (turns) steps.push(turnedWeightStep(sizes, weight, output, true));
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops: 2 * sizes.macs };
}

function planDenseInputGrad(target: VectorTarget, task: InputGradTask): TaskPlan {
  const sizes = convGradientSizes(task);
  const { images, outHeight, outWidth, outChannels, groups, groupIn, groupOut, taps } = sizes;
  const scratch = scratchLayout();
  const turns = turnsWeights(sizes);
  const given: BufferPlace = { buffer: 'input1', offset: 0 };
  const weight = turns ? scratchAt(scratch.take(outChannels * groupIn * taps)) : given;
  const row = patchNumbers(sizes);
  const imageBytes = outHeight * outWidth * row * 4;
  const asTheyAre = patchesAreInput(sizes);
  const chunks = spans(images, asTheyAre ? 1 : Math.ceil((images * imageBytes) / PATCH_BYTES));
  const most = Math.max(...chunks.map(({ first, end }) => end - first));
  const dx: BufferPlace = { buffer: 'output', offset: 0 };
  const patches = asTheyAre ? dx : scratchAt(scratch.take((most * imageBytes) / 4));
  const plans = chunks.map((span) =>
    planGemm(target, {
      m: (span.end - span.first) * outHeight * outWidth,
      n: taps * groupIn,
      k: groupOut,
      transposeA: false,
      transposeB: false,
      accumulate: false,
      past: asTheyAre,
      rounded: task.rounded,
      leading: { a: outChannels, c: row },
    }),
  );
  const products = groupProducts(scratch, groups, plans);
  const steps = chunks.flatMap((span, i) => {
    const dy = further({ buffer: 'input0', offset: 0 }, 4 * span.first * outHeight * outWidth * outChannels);
    const plan = plans[i];
    if (plan === undefined) return [];
    const made = products(plan, {
      a: (group) => further(dy, 4 * group * groupOut),
      b: (group) => further(weight, 4 * group * groupOut * taps * groupIn),
      c: (group) => further(patches, 4 * group * taps * groupIn),
    });
    return asTheyAre ? made : [...made, foldTiles(sizes, span, patches, dx)];
  });
  if (turns) steps.unshift(turnedWeightStep(sizes, given, weight, false));
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops: 2 * sizes.macs };
}

/** Any kernel, stride, dilation and groups: a product, folded back. */
export const denseInputGradRow: InputGradRow = {
  name: 'dense',
  applies: (task) => termsOf(task).join() === 'window' && !task.residual && task.derivative === undefined,
  plan: planDenseInputGrad,
};

/** Any kernel, stride, dilation and groups: products with patches. */
export const denseWeightGradRow: WeightGradRow = {
  name: 'dense',
  applies: () => true,
  plan: planDenseWeightGrad,
};
