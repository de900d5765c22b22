import type { AnchorStyleName } from '../../detection/anchors.ts';
import { baseWidths, mobileOneConfig, type VariantName } from '../../model/config.ts';
import type { DeepLabStyleName } from '../../model/deeplabv3.ts';
import type { Task } from '../../task/task-head.ts';
import type { RunPlan } from '../../training/recipe/prepare-run.ts';
import type { HubFlags } from '../weights.ts';

/** What decides a new run; a run that goes on takes it from its own configuration. */
export interface NewRunFlags extends HubFlags {
  readonly out?: string;
  readonly model?: VariantName;
  readonly branches?: number;
  readonly width?: number;
  readonly from?: string;
  readonly freeze?: string;
  readonly recipe?: string;
  readonly epochs?: number;
  readonly batch?: number;
  readonly size?: number;
  readonly seed?: number;
  readonly set: readonly string[];
  readonly precision?: string;
  readonly holdOut?: number;
  readonly check: boolean;
  readonly task?: Task;
  readonly strict?: boolean;
  readonly style?: DeepLabStyleName;
  readonly headChannels?: number;
  readonly outputStride?: 8 | 16;
  readonly anchors?: AnchorStyleName | 'data';
}

/** Flags that a run which goes on cannot change. */
export const decides = [
  'out',
  'model',
  'branches',
  'width',
  'from',
  'freeze',
  'recipe',
  'epochs',
  'batch',
  'size',
  'seed',
  'precision',
  'holdOut',
  'task',
  'style',
  'headChannels',
  'outputStride',
  'anchors',
] as const;

/** What the flags say of net and recipe. */
export function recipeChoices(flags: NewRunFlags): Omit<RunPlan, 'labels' | 'data' | 'from'> {
  const { model, branches, width, precision, set } = flags;
  const widths = width === undefined ? undefined : scaledWidths(model ?? 's0', width);
  const own = { ...(branches === undefined ? {} : { branches }), ...(widths ? { widths } : {}) };
  const kept = Object.fromEntries(
    (['recipe', 'epochs', 'batch', 'size', 'seed', 'freeze'] as const).flatMap((flag) =>
      flags[flag] === undefined ? [] : [[flag, flags[flag]]],
    ),
  );
  return {
    ...kept,
    ...(model === undefined ? {} : { variant: model }),
    ...(Object.keys(own).length > 0 ? { model: own } : {}),
    set: [...(precision === undefined ? [] : [`precision=${precision}`]), ...set],
  };
}

/** A variant's stages, `factor` times as wide, in whole eights of channels. */
function scaledWidths(variant: VariantName, factor: number): readonly number[] {
  return mobileOneConfig(variant).stages.map(({ channels }, i) => {
    const base = baseWidths[i] ?? 64;
    return Math.max(8, Math.round((channels * factor) / 8) * 8) / base;
  });
}
