import { WeightsError } from '../errors.ts';
import type { Shape } from '../tensor/tensor.ts';
import type { Form } from './block.ts';
import {
  type MobileOneConfig,
  mobileOneConfig,
  type SqueezeRounding,
  squeezeChannels,
  validateConfig,
  variantNames,
} from './config.ts';

export interface InferredNet {
  readonly config: MobileOneConfig;
  readonly form: Form;
}

/**
 * The configuration a checkpoint was made with, from the names and shapes of its parameters (our names).
 * Widths, depths, k, squeeze-excite, input channels and classes all follow; a variant's name is found again.
 * @throws WeightsError when the parameters are not a MobileOne net's
 */
export function inferConfig(shapes: ReadonlyMap<string, Shape>): InferredNet {
  const form: Form = shapes.has('stem.weight') ? 'deploy' : 'train';
  const stem = blockWeight(shapes, 'stem', form);
  if (stem === undefined)
    throw new WeightsError(
      'weights: no "stem.weight" (deploy form) and no "stem.conv.0.weight" (train form); this is no MobileOne checkpoint in our names.',
    );
  const stages = [];
  for (let s = 0; blockWeight(shapes, `stages.${s}.0`, form); s++) stages.push(inferStage(shapes, s, form));
  const head = shapes.get('head.weight');
  const config: MobileOneConfig = {
    name: 'mobileone-custom',
    inChannels: stem[1] ?? 0,
    stemChannels: stem[0] ?? 0,
    stages: stages.map(({ pairs, channels, gatedPairs }) => ({
      pairs,
      channels,
      squeezeExcitePairs: gatedPairs,
    })),
    branches: form === 'train' ? Math.max(1, countBranches(shapes, 'stages.0.0')) : 1,
    classes: head?.[0] ?? 0,
    squeezeRounding: inferRounding(stages.flatMap((stage) => stage.squeezes)),
  };
  validateConfig(config);
  return { config: named(config, form), form };
}

interface StageFacts {
  readonly pairs: number;
  readonly channels: number;
  readonly gatedPairs: number;
  /** [channels, squeeze channels] of every gated block. */
  readonly squeezes: readonly (readonly [number, number])[];
}

function inferStage(shapes: ReadonlyMap<string, Shape>, stage: number, form: Form): StageFacts {
  const squeezes: (readonly [number, number])[] = [];
  let blocks = 0;
  let channels = 0;
  for (;;) {
    const name = `stages.${stage}.${blocks}`;
    const weight = blockWeight(shapes, name, form);
    if (weight === undefined) break;
    channels = weight[0] ?? 0;
    const squeeze = shapes.get(`${name}.se.squeeze.weight`);
    if (squeeze) squeezes.push([squeeze[1] ?? 0, squeeze[0] ?? 0]);
    blocks++;
  }
  if (blocks % 2 !== 0)
    throw new WeightsError(
      `weights: stage ${stage + 1} has ${blocks} blocks; MobileOne stages are pairs of a depthwise and a pointwise block.`,
    );
  return { pairs: blocks / 2, channels, gatedPairs: squeezes.length / 2, squeezes };
}

function blockWeight(shapes: ReadonlyMap<string, Shape>, block: string, form: Form): Shape | undefined {
  return shapes.get(form === 'deploy' ? `${block}.weight` : `${block}.conv.0.weight`);
}

function countBranches(shapes: ReadonlyMap<string, Shape>, block: string): number {
  let count = 0;
  while (shapes.has(`${block}.conv.${count}.weight`)) count++;
  return count;
}

function inferRounding(squeezes: readonly (readonly [number, number])[]): SqueezeRounding {
  const fits = (rounding: SqueezeRounding): boolean =>
    squeezes.every(([channels, squeeze]) => squeezeChannels(channels, rounding) === squeeze);
  const found = (['floor', 'divisor8', 'corenet'] as const).find(fits);
  if (found) return found;
  throw new WeightsError(
    `weights: squeeze-excite widths ${squeezes.map(([c, s]) => `${c}→${s}`).join(', ')} follow no known rounding of channels/16.`,
  );
}

/** Gives the variant's own name where everything but the classes and input channels matches it. */
function named(config: MobileOneConfig, form: Form): MobileOneConfig {
  for (const variant of variantNames) {
    const { classes, inChannels, squeezeRounding } = config;
    const row = mobileOneConfig(variant, { classes, inChannels, squeezeRounding });
    const branches = form === 'deploy' ? row.branches : config.branches;
    const same = { ...config, name: row.name, branches };
    if (JSON.stringify(same) === JSON.stringify(row)) return row;
  }
  return config;
}
