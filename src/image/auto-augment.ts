import type { Random } from '../tensor/random.ts';
import { type AugmentOpName, augmentOps, type MoveOptions } from './augment-ops.ts';
import type { Image } from './image.ts';

/** What an operation makes of a level (0–10); those that turn or shear go either way. */
const levelValues = {
  posterize: (level) => Math.trunc((level / 10) * 4) + 4,
  solarize: (level) => Math.trunc((level / 10) * 256),
  rotate: (level, sign) => sign * (level / 10) * 30,
  shearX: (level, sign) => sign * (level / 10) * 0.3,
  adjustColor: (level) => (level / 10) * 1.8 + 0.1,
  adjustContrast: (level) => (level / 10) * 1.8 + 0.1,
  adjustSharpness: (level) => (level / 10) * 1.8 + 0.1,
  autoContrast: () => 0,
  equalize: () => 0,
  invert: () => 0,
} as const satisfies Partial<Record<AugmentOpName, (level: number, sign: 1 | -1) => number>>;

type PolicyOp = keyof typeof levelValues;
type Step = readonly [op: PolicyOp, chance: number, level: number];

/** The 25 pairs found on ImageNet. @see arXiv:1805.09501, table 9 */
export const imagenetPolicies: readonly (readonly [Step, Step])[] = [
  [
    ['posterize', 0.4, 8],
    ['rotate', 0.6, 9],
  ],
  [
    ['solarize', 0.6, 5],
    ['autoContrast', 0.6, 5],
  ],
  [
    ['equalize', 0.8, 8],
    ['equalize', 0.6, 3],
  ],
  [
    ['posterize', 0.6, 7],
    ['posterize', 0.6, 6],
  ],
  [
    ['equalize', 0.4, 7],
    ['solarize', 0.2, 4],
  ],
  [
    ['equalize', 0.4, 4],
    ['rotate', 0.8, 8],
  ],
  [
    ['solarize', 0.6, 3],
    ['equalize', 0.6, 7],
  ],
  [
    ['posterize', 0.8, 5],
    ['equalize', 1, 2],
  ],
  [
    ['rotate', 0.2, 3],
    ['solarize', 0.6, 8],
  ],
  [
    ['equalize', 0.6, 8],
    ['posterize', 0.4, 6],
  ],
  [
    ['rotate', 0.8, 8],
    ['adjustColor', 0.4, 0],
  ],
  [
    ['rotate', 0.4, 9],
    ['equalize', 0.6, 2],
  ],
  [
    ['equalize', 0, 7],
    ['equalize', 0.8, 8],
  ],
  [
    ['invert', 0.6, 4],
    ['equalize', 1, 8],
  ],
  [
    ['adjustColor', 0.6, 4],
    ['adjustContrast', 1, 8],
  ],
  [
    ['rotate', 0.8, 8],
    ['adjustColor', 1, 2],
  ],
  [
    ['adjustColor', 0.8, 8],
    ['solarize', 0.8, 7],
  ],
  [
    ['adjustSharpness', 0.4, 7],
    ['invert', 0.6, 8],
  ],
  [
    ['shearX', 0.6, 5],
    ['equalize', 1, 9],
  ],
  [
    ['adjustColor', 0.4, 0],
    ['equalize', 0.6, 3],
  ],
  [
    ['equalize', 0.4, 7],
    ['solarize', 0.2, 4],
  ],
  [
    ['solarize', 0.6, 5],
    ['autoContrast', 0.6, 5],
  ],
  [
    ['invert', 0.6, 4],
    ['equalize', 1, 8],
  ],
  [
    ['adjustColor', 0.6, 4],
    ['adjustContrast', 1, 8],
  ],
  [
    ['equalize', 0.8, 8],
    ['equalize', 0.6, 3],
  ],
];

/**
 * One of the ImageNet policies' pairs, each step with its own chance.
 * @param strength 0–1: factor of the chances
 */
export function autoAugment(image: Image, strength: number, move: MoveOptions, random: Random): Image {
  let result = image;
  for (const [op, chance, level] of imagenetPolicies[random.integer(imagenetPolicies.length)] ?? []) {
    if (random.uniform() >= chance * strength) continue;
    const value = levelValues[op](level, random.uniform() < 0.5 ? -1 : 1);
    result = augmentOps[op](result, value, move);
  }
  return result;
}
