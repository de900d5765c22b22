import { UsageError } from '../errors.ts';

/** How squeeze-excite rounds C/16; the public implementations agree on S4's widths and differ elsewhere. */
export type SqueezeRounding = 'floor' | 'divisor8' | 'corenet';

export interface StageConfig {
  /** Depthwise + pointwise pairs; each pair is two MobileOne blocks. */
  readonly pairs: number;
  readonly channels: number;
  /** How many of the last pairs carry squeeze-excite, in both of their blocks. */
  readonly squeezeExcitePairs: number;
}

/** Everything that decides a MobileOne net's parameters. */
export interface MobileOneConfig {
  readonly name: string;
  readonly inChannels: number;
  readonly stemChannels: number;
  /** Each stage halves the resolution in its first depthwise block. */
  readonly stages: readonly StageConfig[];
  /** k: convolution branches of every block but the stem in train form. */
  readonly branches: number;
  /** 0: no classifier head. */
  readonly classes: number;
  readonly squeezeRounding: SqueezeRounding;
}

export type VariantName = 's0' | 's1' | 's2' | 's3' | 's4';

interface VariantRow {
  readonly widths: readonly [number, number, number, number];
  readonly branches: number;
  readonly squeezeExcite: readonly [number, number, number, number];
}

/** Paper table 2 and Apple's mobileone.py: width multipliers, k, and squeeze-excite pairs a stage. */
const variantRows: Readonly<Record<VariantName, VariantRow>> = {
  s0: { widths: [0.75, 1, 1, 2], branches: 4, squeezeExcite: [0, 0, 0, 0] },
  s1: { widths: [1.5, 1.5, 2, 2.5], branches: 1, squeezeExcite: [0, 0, 0, 0] },
  s2: { widths: [1.5, 2, 2.5, 4], branches: 1, squeezeExcite: [0, 0, 0, 0] },
  s3: { widths: [2, 2.5, 3, 4], branches: 1, squeezeExcite: [0, 0, 0, 0] },
  s4: { widths: [3, 3.5, 3.5, 4], branches: 1, squeezeExcite: [0, 0, 5, 1] },
};

/** Channels of the stages at width 1. */
export const baseWidths = [64, 128, 256, 512] as const;
const basePairs = [2, 8, 10, 1] as const;

export const variantNames: readonly VariantName[] = ['s0', 's1', 's2', 's3', 's4'];

export interface ConfigOptions {
  readonly classes?: number;
  readonly inChannels?: number;
  /** k, the over-parameterization of the paper's section 3.2. */
  readonly branches?: number;
  /** Width multiplier a stage, over 64, 128, 256, 512 channels. */
  readonly widths?: readonly number[];
  /** Depthwise + pointwise pairs a stage. */
  readonly pairs?: readonly number[];
  /** Squeeze-excite pairs a stage. */
  readonly squeezeExcite?: readonly number[];
  readonly squeezeRounding?: SqueezeRounding;
}

/**
 * A variant's configuration, or a net of one's own from its widths and depths.
 * @throws UsageError for numbers no net can have
 */
export function mobileOneConfig(variant: VariantName, options: ConfigOptions = {}): MobileOneConfig {
  const row = variantRows[variant];
  const widths = options.widths ?? row.widths;
  const pairs = options.pairs ?? basePairs;
  const squeezeExcite = options.squeezeExcite ?? (options.pairs ? widths.map(() => 0) : row.squeezeExcite);
  const isOwn =
    options.widths !== undefined || options.pairs !== undefined || options.squeezeExcite !== undefined;
  if (widths.length !== 4 || pairs.length !== 4 || squeezeExcite.length !== 4)
    throw new UsageError(
      `mobileone config: widths, pairs and squeezeExcite need one number for each of 4 stages, found ${widths.length}, ${pairs.length} and ${squeezeExcite.length}.`,
    );
  const config: MobileOneConfig = {
    name: isOwn ? 'mobileone-custom' : `mobileone-${variant}`,
    inChannels: options.inChannels ?? 3,
    stemChannels: Math.min(64, Math.floor(64 * (widths[0] ?? 1))),
    stages: baseWidths.map((base, i) => ({
      pairs: pairs[i] ?? 0,
      channels: Math.floor(base * (widths[i] ?? 0)),
      squeezeExcitePairs: squeezeExcite[i] ?? 0,
    })),
    branches: options.branches ?? row.branches,
    classes: options.classes ?? 1000,
    squeezeRounding: options.squeezeRounding ?? 'floor',
  };
  return validateConfig(config);
}

/** @throws UsageError naming the first number that no net can have */
export function validateConfig(config: MobileOneConfig): MobileOneConfig {
  const require = (what: string, value: number, least: number): void => {
    if (!Number.isSafeInteger(value) || value < least)
      throw new UsageError(
        `mobileone config: ${what} must be an integer of at least ${least}, found ${value}.`,
      );
  };
  require('inChannels', config.inChannels, 1);
  require('stemChannels', config.stemChannels, 1);
  require('branches', config.branches, 1);
  require('classes', config.classes, 0);
  require('number of stages', config.stages.length, 1);
  for (const [i, stage] of config.stages.entries()) {
    require(`stage ${i + 1} channels`, stage.channels, 1);
    require(`stage ${i + 1} pairs`, stage.pairs, 1);
    require(`stage ${i + 1} squeezeExcitePairs`, stage.squeezeExcitePairs, 0);
    if (stage.squeezeExcitePairs > stage.pairs)
      throw new UsageError(
        `mobileone config: stage ${i + 1} has ${stage.pairs} pairs but asks for ${stage.squeezeExcitePairs} with squeeze-excite.`,
      );
  }
  return config;
}

/** mmpretrain's and timm's make_divisible: nearest multiple of 8, at least 8, never below 90 % of the value. */
function divisibleBy8(value: number, leastShare: number): number {
  const rounded = Math.max(8, Math.floor((value + 4) / 8) * 8);
  return rounded < leastShare * value ? rounded + 8 : rounded;
}

const squeezeRules: Readonly<Record<SqueezeRounding, (channels: number) => number>> = {
  floor: (channels) => Math.max(1, Math.floor(channels / 16)),
  divisor8: (channels) => divisibleBy8(channels / 16, 0.9),
  corenet: (channels) => Math.max(32, divisibleBy8(Math.floor(channels / 16), 0.9)),
};

export function squeezeChannels(channels: number, rounding: SqueezeRounding): number {
  return squeezeRules[rounding](channels);
}
