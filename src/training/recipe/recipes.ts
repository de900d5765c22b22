import { UsageError } from '../../errors.ts';
import type { Recipe } from './recipe.ts';
import { noWarmUp } from './schedules.ts';

/** Published recipes and our own, as data. Variants differ in augmentation and progressive learning only. */

export type RecipeName = 'small' | 'fine-tune' | 'paper' | 'mmpretrain';
export const recipeNames: readonly RecipeName[] = ['small', 'fine-tune', 'paper', 'mmpretrain'];

const plainCrop = { area: [0.08, 1], ratio: [3 / 4, 4 / 3] } as const;
const plainAugment = {
  crop: plainCrop,
  flip: 0.5,
  color: null,
  randAugment: null,
  autoAugment: false,
  erase: 0,
  mixup: 0,
  cutmix: 0,
} as const;
const always224 = [{ epoch: 0, size: 224, strength: 1 }] as const;

const common = {
  clip: null,
  distill: null,
  layerDecay: 1,
  freeze: 'none',
  mergeBranches: 'paying',
  precision: 'f32',
  accumulate: 1,
  seed: 0,
} as const;

/** arXiv 2206.04040, section 4.1 and supplement; where it is silent, PyTorch's defaults. */
const paper: Recipe = {
  ...common,
  name: 'paper',
  initial: 'apple',
  epochs: 300,
  batch: 256,
  phases: always224,
  evaluation: { size: 224, resize: 256 },
  optimizer: { kind: 'sgd', momentum: 0.9, nesterov: false },
  rate: { base: 0.1, decline: { kind: 'cosine', final: 0 }, every: 'epoch', warmUp: noWarmUp },
  rateForBatch: 256,
  decay: { base: 1e-4, decline: { kind: 'cosine', final: 1e-5 }, every: 'epoch', warmUp: noWarmUp },
  decayed: { norms: true, biases: true },
  loss: { kind: 'crossEntropy', smoothing: 0.1 },
  average: { momentum: 5e-4, warmUp: false },
  augment: plainAugment,
};

/** mmpretrain's configs/mobileone and imagenet_bs256_coslr_coswd_300e. */
const mmpretrain: Recipe = {
  ...paper,
  name: 'mmpretrain',
  initial: 'mmpretrain',
  rate: {
    base: 0.1,
    decline: { kind: 'cosine', final: 1e-6 },
    every: 'epoch',
    warmUp: { unit: 'epochs', length: 5, start: 0.001 },
  },
  decayed: { norms: false, biases: true },
};

/** For hundreds to some ten thousand pictures, from scratch, on processors. */
const small: Recipe = {
  ...common,
  name: 'small',
  initial: 'timm',
  epochs: 60,
  batch: 32,
  phases: [
    { epoch: 0, size: 96, strength: 0.5 },
    { epoch: 30, size: 128, strength: 1 },
  ],
  evaluation: { size: 128, resize: 146 },
  optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true },
  rate: {
    base: 0.1,
    decline: { kind: 'cosine', final: 0 },
    every: 'step',
    warmUp: { unit: 'epochs', length: 3, start: 0.01 },
  },
  rateForBatch: 64,
  decay: { base: 5e-4, decline: { kind: 'cosine', final: 5e-5 }, every: 'epoch', warmUp: noWarmUp },
  decayed: { norms: false, biases: false },
  loss: { kind: 'crossEntropy', smoothing: 0.1 },
  average: { momentum: 2e-3, warmUp: true },
  augment: {
    ...plainAugment,
    crop: { area: [0.25, 1], ratio: [3 / 4, 4 / 3] },
    color: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0 },
  },
};

/** From trained weights: short, slow, slower towards the stem. */
const fineTune: Recipe = {
  ...small,
  name: 'fine-tune',
  epochs: 20,
  phases: [{ epoch: 0, size: 224, strength: 1 }],
  evaluation: { size: 224, resize: 256 },
  rate: { ...small.rate, base: 0.02, warmUp: { unit: 'epochs', length: 1, start: 0.01 } },
  decay: { base: 1e-4, decline: { kind: 'cosine', final: 1e-5 }, every: 'epoch', warmUp: noWarmUp },
  layerDecay: 0.9,
};

const timmIncreasing = { count: 2, level: 7, deviation: 0.5 } as const;

/** Which variants deviate from their recipe's plain form, and how. */
const variants: Readonly<Record<RecipeName, Readonly<Record<string, Partial<Recipe>>>>> = {
  small: {},
  'fine-tune': {},
  paper: Object.fromEntries(
    ['s2', 's3', 's4'].map((variant) => [
      variant,
      {
        augment: { ...plainAugment, autoAugment: true },
        phases: [
          { epoch: 0, size: 160, strength: 0.3 },
          { epoch: 39, size: 192, strength: 0.7 },
          { epoch: 114, size: 224, strength: 1 },
        ],
      },
    ]),
  ),
  mmpretrain: Object.fromEntries(
    (
      [
        // The published config means other strengths for S1, but these are the ones that take effect.
        ['s1', [0.1, 1, 1]],
        ['s2', [0.3, 0.7, 1]],
        ['s3', [0.3, 0.7, 1]],
        ['s4', [0.3, 0.7, 1]],
      ] as const
    ).map(([variant, [first, second, third]]) => [
      variant,
      {
        augment: { ...plainAugment, randAugment: timmIncreasing },
        phases: [
          { epoch: 0, size: 160, strength: first },
          { epoch: 36, size: 192, strength: second },
          { epoch: 111, size: 224, strength: third },
        ],
      },
    ]),
  ),
};

const recipes: Readonly<Record<RecipeName, Recipe>> = { small, 'fine-tune': fineTune, paper, mmpretrain };

/** @param variant such as `s2`; one that the recipe does not name gets its plain form. @throws UsageError */
export function namedRecipe(name: string, variant: string): Recipe {
  const known = recipeNames.find((one) => one === name);
  if (known === undefined)
    throw new UsageError(`recipe "${name}" is not known; known are ${recipeNames.join(', ')}.`);
  return { ...recipes[known], ...variants[known][variant] };
}
