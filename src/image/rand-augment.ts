import type { Random } from '../tensor/random.ts';
import { type AugmentOpName, augmentOps, type MoveOptions } from './augment-ops.ts';
import type { Image } from './image.ts';

/** mmpretrain's RandAugment with timm's increasing policies. */
export interface RandAugment {
  /** Operations tried on a picture, each taken with a chance of a half. */
  readonly count: number;
  /** Strength, of 10. */
  readonly level: number;
  /** Standard deviation of the strength; the sum is kept within 0–10. */
  readonly deviation: number;
}

interface Policy {
  readonly op: AugmentOpName;
  /** Magnitudes at levels 0 and 10. */
  readonly range: readonly [number, number];
  /** Whether the magnitude is negated half of the time. */
  readonly signed?: boolean;
  readonly toValue?: (magnitude: number) => number;
}

const factor = { range: [0, 0.9], signed: true, toValue: (magnitude: number) => 1 + magnitude } as const;
const shear = { range: [0, 0.3], signed: true } as const;
const translate = { range: [0, 0.45], signed: true } as const;

/** @see mmpretrain configs/_base_/datasets/pipelines/rand_aug.py, mmpretrain/datasets/transforms/auto_augment.py */
export const increasingPolicies: readonly Policy[] = [
  { op: 'autoContrast', range: [0, 0] },
  { op: 'equalize', range: [0, 0] },
  { op: 'invert', range: [0, 0] },
  { op: 'rotate', range: [0, 30], signed: true },
  { op: 'posterize', range: [4, 0], toValue: Math.ceil },
  { op: 'solarize', range: [256, 0] },
  { op: 'solarizeAdd', range: [0, 110] },
  { op: 'adjustColor', ...factor },
  { op: 'adjustContrast', ...factor },
  { op: 'adjustBrightness', ...factor },
  { op: 'adjustSharpness', ...factor },
  { op: 'shearX', ...shear },
  { op: 'shearY', ...shear },
  { op: 'translateX', ...translate },
  { op: 'translateY', ...translate },
];

const chance = 0.5;

/** The value an operation gets at a level (0–10): (range[1] − range[0])·level/10 + range[0], then as the operation counts. */
export function policyValue(policy: Policy, level: number, negative: boolean): number {
  const [from, to] = policy.range;
  const magnitude = (level / 10) * (to - from) + from;
  const signed = negative && policy.signed === true ? -magnitude : magnitude;
  return policy.toValue ? policy.toValue(signed) : signed;
}

/** `count` operations drawn with replacement. The order of draws: operation, whether, level, sign. */
export function randAugment(image: Image, setting: RandAugment, move: MoveOptions, random: Random): Image {
  let result = image;
  for (let n = 0; n < setting.count; n++) {
    const policy = increasingPolicies[random.integer(increasingPolicies.length)];
    if (!policy || random.uniform() > chance) continue;
    const level = Math.max(0, Math.min(10, setting.level + setting.deviation * random.normal()));
    const value = policyValue(policy, level, random.uniform() < 0.5);
    result = augmentOps[policy.op](result, value, move);
  }
  return result;
}
