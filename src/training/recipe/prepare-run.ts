import { UsageError } from '../../errors.ts';
import { type EvalTransform, evalTransforms } from '../../image/eval-transform.ts';
import {
  type ConfigOptions,
  type MobileOneConfig,
  mobileOneConfig,
  type VariantName,
} from '../../model/config.ts';
import { initialWeights } from '../../model/initialize.ts';
import { buildMobileOne } from '../../model/mobileone.ts';
import type { CheckpointNet } from '../../task/read-net.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import {
  type CommonRecipe,
  checkRecipe,
  type Recipe,
  withEpochs,
  withOverrides,
  withSize,
} from './recipe.ts';
import { namedRecipe } from './recipes.ts';
import type { ClassifyConfig, RunConfig } from './run-config.ts';

export interface RecipeChoice {
  /**
   * Default by what there is to learn from: `fine-tune` from weights, `small` below 100 000 pictures, else
   * `mmpretrain`; the first two with epochs and batch to suit the number of pictures.
   */
  readonly recipe?: string;
  readonly epochs?: number;
  readonly batch?: number;
  /** Side of the pictures in the last phase and for validation. */
  readonly size?: number;
  readonly seed?: number;
  readonly freeze?: string;
  /** `key=value`, as `withOverrides` takes them; applied last. */
  readonly set?: readonly string[];
}

export interface RunPlan extends RecipeChoice {
  /** What the trained net is called; default the net's own name. */
  readonly name?: string;
  /** Default s0, or the net of `from`. */
  readonly variant?: VariantName;
  /** Other widths, depths or branches than the variant's. */
  readonly model?: Omit<ConfigOptions, 'classes' | 'inChannels'>;
  readonly labels: readonly string[];
  readonly data: RunConfig['data'];
  /** Median short side of the pictures, if known: no net is trained at more than they have. */
  readonly shortSide?: number | undefined;
  /** Weights to start from, and what they are called. */
  readonly from?: { readonly net: CheckpointNet; readonly name: string; readonly transform?: EvalTransform };
}

export interface PreparedRun {
  readonly config: ClassifyConfig;
  readonly weights: Weights;
  /** Whether the classifier is a new one. */
  readonly newHead: boolean;
}

interface CountedSplits {
  readonly name: string;
  readonly train: { readonly samples: readonly unknown[] };
  readonly val: { readonly samples: readonly unknown[] } | undefined;
}

/** What a run remembers of its data. @param from where it was opened, if that is not its name */
export function dataFacts(
  { name, train, val }: CountedSplits,
  from: { readonly name?: string; readonly holdOut?: number | null } = {},
): RunConfig['data'] {
  return {
    name: from.name ?? name,
    train: train.samples.length,
    validation: val?.samples.length ?? 0,
    holdOut: from.holdOut ?? null,
  };
}

const bigSet = 100_000;

/**
 * Everything a run needs to start, from what a user said and what the data is like.
 * @throws UsageError for what cannot be
 */
export function prepareRun(plan: RunPlan): PreparedRun {
  const { from, labels, data } = plan;
  const model = modelOf(plan);
  const variant = /^mobileone-(s\d)$/.exec(model.name)?.[1] ?? plan.variant ?? 's0';
  const recipe = chooseRecipe(plan, variant);
  const form = from?.net.form ?? 'train';
  const { size, resize } = recipe.evaluation;
  const graph = buildMobileOne(model, { form, height: size, width: size });
  const fresh = initialWeights(graph, recipe.initial, recipe.seed);
  const newHead = from === undefined || !sameLabels(from.net, labels);
  const start = from?.transform ?? from?.net.metadata.transform ?? evalTransforms.apple;
  const { interpolation, scale, mean, std } = start;
  const config: ClassifyConfig = {
    version: 1,
    name: plan.name ?? model.name,
    model,
    form,
    labels,
    transform: {
      resize: { kind: 'shortest', size: resize },
      crop: { width: size, height: size },
      interpolation,
      scale,
      mean,
      std,
    },
    recipe,
    data,
    from: from?.name ?? null,
  };
  return { config, weights: from ? startingFrom(from.net.weights, fresh, newHead) : fresh, newHead };
}

function modelOf({ from, variant, model, labels }: RunPlan): MobileOneConfig {
  if (from === undefined) return mobileOneConfig(variant ?? 's0', { ...model, classes: labels.length });
  const { config } = from.net;
  if (variant !== undefined && config.name !== `mobileone-${variant}`)
    throw new UsageError(
      `train: the weights "${from.name}" are those of ${config.name}, but mobileone-${variant} was asked for; leave one of them out.`,
    );
  if (Object.keys(model ?? {}).length > 0)
    throw new UsageError(
      `train: the weights "${from.name}" decide widths and branches; leave those options out.`,
    );
  return { ...config, classes: labels.length };
}

/** What a user says of the recipe's rules by options of their own. */
export function chosenRules({
  batch,
  seed,
  freeze,
}: RecipeChoice): Pick<RecipeChoice, 'batch' | 'seed' | 'freeze'> {
  return {
    ...(batch === undefined ? {} : { batch }),
    ...(seed === undefined ? {} : { seed }),
    ...(freeze === undefined ? {} : { freeze }),
  };
}

function chooseRecipe(plan: RunPlan, variant: string): Recipe {
  const count = plan.data.train;
  const fallback = plan.from ? 'fine-tune' : count < bigSet ? 'small' : 'mmpretrain';
  const named = namedRecipe(plan.recipe ?? fallback, variant);
  let recipe = plan.recipe === undefined ? fittedTo(named, count) : named;
  if (plan.epochs !== undefined) recipe = withEpochs(recipe, plan.epochs);
  const size = plan.size ?? sizeFor(recipe, plan.shortSide);
  if (size !== recipe.evaluation.size) recipe = withSize(recipe, size);
  return withOverrides(checkRecipe({ ...recipe, ...chosenRules(plan) }), plan.set ?? []);
}

/** Pictures to see in all, of sets that these recipes were not made for, and between how many epochs that may be. */
const budgets: Readonly<
  Record<string, { readonly pictures: number; readonly least: number; readonly most: number }>
> = {
  small: { pictures: 120_000, least: 30, most: 200 },
  'fine-tune': { pictures: 40_000, least: 10, most: 60 },
  'small-segment': { pictures: 12_000, least: 20, most: 100 },
  'small-detect': { pictures: 12_000, least: 20, most: 100 },
};

/** Few pictures are seen more often, and in smaller batches: an epoch needs some steps. */
export function fittedTo<R extends CommonRecipe>(recipe: R, count: number): R {
  const budget = budgets[recipe.name];
  if (budget === undefined) return recipe;
  const epochs = Math.round(Math.min(budget.most, Math.max(budget.least, budget.pictures / count)));
  const batch = Math.min(recipe.batch, Math.max(4, 2 ** Math.floor(Math.log2(count / 8))));
  return { ...withEpochs(recipe, epochs), batch };
}

/** The recipe's, unless the pictures are smaller: then the multiple of 32 that they fill. */
function sizeFor(recipe: Recipe, shortSide: number | undefined): number {
  const { size } = recipe.evaluation;
  if (shortSide === undefined || shortSide >= size) return size;
  return Math.max(32, Math.floor(shortSide / 32) * 32);
}

/** Classes that are certainly the same, so that the classifier may stay. */
function sameLabels({ metadata }: CheckpointNet, labels: readonly string[]): boolean {
  const known = metadata.labels;
  return known?.length === labels.length && known.every((label, i) => label === labels[i]);
}

function startingFrom(weights: Weights, fresh: Weights, newHead: boolean): Weights {
  const result = new Map<string, Tensor>();
  for (const [name, tensor] of fresh) {
    const known = newHead && name.startsWith('head.') ? undefined : weights.get(name);
    result.set(name, known ?? tensor);
  }
  return result;
}
