import { UsageError } from '../../errors.ts';
import type { CommonRecipe, DetectRecipe, SegmentRecipe } from './recipe.ts';
import { noWarmUp } from './schedules.ts';

/** Recipes for nets with heads, as data: hundreds to thousands of pictures on processors, fresh or from a backbone. */

const common = {
  initial: 'timm',
  epochs: 60,
  batch: 8,
  accumulate: 1,
  phases: [{ epoch: 0, size: 256, strength: 1 }],
  rateForBatch: 8,
  decayed: { norms: false, biases: false },
  clip: 5,
  average: { momentum: 4e-3, warmUp: true },
  layerDecay: 1,
  freeze: 'none',
  mergeBranches: 'paying',
  precision: 'f32',
  seed: 0,
} as const satisfies Omit<CommonRecipe, 'name' | 'optimizer' | 'rate' | 'decay'>;

const rate = {
  decline: { kind: 'cosine', final: 0 },
  every: 'step',
  warmUp: { unit: 'epochs', length: 1, start: 0.01 },
} as const;

const smallSegment: SegmentRecipe = {
  ...common,
  name: 'small-segment',
  optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true },
  rate: { ...rate, base: 0.05 },
  decay: { base: 5e-4, decline: { kind: 'cosine', final: 5e-5 }, every: 'epoch', warmUp: noWarmUp },
  evaluation: { width: 256, height: 256 },
  loss: { smoothing: 0, auxiliary: 0.4, balance: 0.5 },
  augment: {
    color: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0 },
    scale: [0.75, 1.5],
    flip: 0.5,
  },
};

const smallDetect: DetectRecipe = {
  ...common,
  name: 'small-detect',
  optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  rate: { ...rate, base: 4e-3 },
  decay: { base: 0.02, decline: { kind: 'constant' }, every: 'epoch', warmUp: noWarmUp },
  evaluation: { width: 320, height: 320 },
  phases: [{ epoch: 0, size: 320, strength: 1 }],
  loss: { negatives: 3, iou: 0.5, leastAnchors: 4 },
  augment: {
    color: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.02 },
    mosaic: null,
    expand: null,
    // Half of the pictures stay whole: strong crops need ten times as many epochs.
    crop: { leastIou: [0.5, 0.9, 1, 1], scale: [0.5, 1], ratio: [0.5, 2], tries: 40 },
    scale: null,
    flip: 0.5,
    keepAspect: false,
    leastVisible: 0.2,
  },
};

export const segmentRecipes: Readonly<Record<string, SegmentRecipe>> = { 'small-segment': smallSegment };
export const detectRecipes: Readonly<Record<string, DetectRecipe>> = { 'small-detect': smallDetect };

/** @throws UsageError for a name that is not in the table */
export function recipeIn<R>(recipes: Readonly<Record<string, R>>, name: string): R {
  const recipe = Object.hasOwn(recipes, name) ? recipes[name] : undefined;
  if (recipe !== undefined) return recipe;
  throw new UsageError(
    `recipe "${name}" is not one for this task; there is ${Object.keys(recipes).join(', ')}.`,
  );
}
