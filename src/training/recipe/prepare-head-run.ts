import type { AnnotatedDataset } from '../../data/annotations/annotated.ts';
import type { AnchorStyleName } from '../../detection/anchors.ts';
import { UsageError } from '../../errors.ts';
import { type EvalTransform, evalTransforms } from '../../image/eval-transform.ts';
import type { Form } from '../../model/block.ts';
import { type MobileOneConfig, mobileOneConfig } from '../../model/config.ts';
import { type DeepLabStyleName, deepLabStyles } from '../../model/deeplabv3.ts';
import { initialWeights } from '../../model/initialize.ts';
import { buildHeadNet } from '../../task/head-net.ts';
import {
  type DetectHead,
  detectHead,
  fittedHead,
  type SegmentHead,
  segmentHead,
  type TaskHead,
} from '../../task/task-head.ts';
import { createRandom, deriveSeed, type Random } from '../../tensor/random.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import { detectRecipes, recipeIn, segmentRecipes } from './joint-recipes.ts';
import { chosenRules, fittedTo, type RecipeChoice, type RunPlan } from './prepare-run.ts';
import {
  checkDetectRecipe,
  checkSegmentRecipe,
  type DetectRecipe,
  type RecipeCheck,
  type SegmentRecipe,
  withEpochs,
  withOverrides,
  withWholeSize,
} from './recipe.ts';
import type { DetectConfig, SegmentConfig } from './run-config.ts';

/** A net to start from: any classifier as a backbone, or a net with the same head. */
export interface HeadSource {
  /** As the user called it. */
  readonly name: string;
  readonly config: MobileOneConfig;
  readonly form: Form;
  readonly weights: Weights;
  readonly transform?: EvalTransform | undefined;
  readonly labels?: readonly string[] | undefined;
  /** Absent: a classifier. */
  readonly head?: TaskHead | undefined;
}

export interface HeadRunPlan
  extends RecipeChoice,
    Pick<RunPlan, 'name' | 'variant' | 'model' | 'labels' | 'data'> {
  /** Median short side of the pictures, if known: no net learns segmentation at more than they have. */
  readonly shortSide?: number | undefined;
  /** Median of width over height; nets for segmentation look at pictures of this shape. Default 1. */
  readonly aspect?: number | undefined;
  readonly from?: HeadSource;
  /** COCO's ids of the labels, where the data gives them; results of the trained net then say them. */
  readonly categoryIds?: readonly (number | string)[] | undefined;
}

export interface SegmentPlan extends HeadRunPlan {
  /** Over what the source's head says, else torchvision's with half the channels and rates in proportion, stride 16. */
  readonly head?: Partial<Omit<SegmentHead, 'task'>>;
  /** Pixels of each class in the training masks (`AnnotatedDataset.pixels`): what the recipe's `loss.balance` takes. */
  readonly pixels?: readonly number[] | undefined;
}

export interface PreparedHeadRun<C> {
  readonly config: C;
  readonly weights: Weights;
  /** Names of the layers that start with fresh weights. */
  readonly fresh: readonly string[];
}

/** Everything a run needs to start that learns segmentation. @throws UsageError for what cannot be */
export function prepareSegmentRun(plan: SegmentPlan): PreparedHeadRun<SegmentConfig> {
  const recipe = chosen(plan, segmentRecipes, 'small-segment', checkSegmentRecipe, plan.aspect ?? 1);
  const known = plan.from?.head?.task === 'segment' ? plan.from.head : undefined;
  const { style = known?.style ?? 'torchvision', ...over } = plan.head ?? {};
  const head = segmentHead(style, {
    ...(known ? { ...known, style } : { channels: 128, rates: ratesFor(style, recipe) }),
    background: backgroundOf(plan.labels),
    ...over,
  });
  const basics = basicsOf(plan, recipe);
  const auxiliary = recipe.loss.auxiliary > 0;
  const classWeights = plan.pixels && balancedWeights(plan.pixels, recipe.loss.balance);
  return {
    config: { ...basics, recipe, task: 'segment', head, ...(classWeights ? { classWeights } : {}) },
    ...startOf(plan, basics, head, recipe, auxiliary),
  };
}

/**
 * Weights of pixels by their class: its share of all pixels to the power −`balance`, 1 on average over the pixels. Where
 * nearly everything is background, a net finds out soon that saying so is mostly right, and late that there is more.
 * @returns undefined where all weigh the same
 */
export function balancedWeights(pixels: readonly number[], balance: number): number[] | undefined {
  const all = pixels.reduce((sum, count) => sum + count, 0);
  if (balance === 0 || all === 0) return undefined;
  const raw = pixels.map((count) => (count > 0 ? (count / all) ** -balance : 1));
  const mean = pixels.reduce((sum, count, i) => sum + (count / all) * (raw[i] ?? 1), 0);
  return raw.map((weight) => weight / mean);
}

export interface DetectPlan extends HeadRunPlan {
  /** Whose anchors, or fitted to `boxes`; default the source's, else fitted, else torchvision's. */
  readonly anchors?: AnchorStyleName | 'data';
  /** Sides of the training objects' boxes, as shares of their pictures' sides. */
  readonly boxes?: readonly (readonly [width: number, height: number])[];
}

/** Everything a run needs to start that learns detection. @throws UsageError for what cannot be */
export function prepareDetectRun(plan: DetectPlan): PreparedHeadRun<DetectConfig> {
  // Enlarging small pictures pays: the finest anchors are 16 pixels apart.
  const recipe = chosen(
    { ...plan, shortSide: undefined },
    detectRecipes,
    'small-detect',
    checkDetectRecipe,
    1,
  );
  const head = headOf(plan, recipe.evaluation.width);
  const basics = basicsOf(plan, recipe);
  return {
    config: { ...basics, recipe, task: 'detect', head },
    ...startOf(plan, basics, head, recipe, false),
  };
}

/** Sides of all objects as shares of their picture's; of pictures whose size is known. */
export function boxShares({
  samples,
}: Pick<AnnotatedDataset, 'samples'>): readonly (readonly [width: number, height: number])[] {
  return samples.flatMap(({ target: { objects, size } }) =>
    size
      ? objects
          .filter(({ crowd }) => !crowd)
          .map(({ box }) => [box[2] / size.width, box[3] / size.height] as const)
      : [],
  );
}

function headOf({ from, anchors, boxes = [] }: DetectPlan, size: number): DetectHead {
  if (anchors === undefined && from?.head?.task === 'detect') return from.head;
  if (anchors !== undefined && anchors !== 'data') return detectHead(anchors, size);
  const sides = boxes.map(([width, height]) => [width * size, height * size] as const);
  return sides.length > 0 ? fittedHead('torchvision', size, sides) : detectHead('torchvision', size);
}

/** The side for which styles' rates were chosen: that of crops of Pascal VOC. */
const usualSide = 512;

/**
 * The style's rates in proportion to the pictures learned from: a window wider than their feature map sees its padding
 * only, and what it never saw would be noise on larger pictures.
 */
function ratesFor(style: DeepLabStyleName, { evaluation, phases }: SegmentRecipe): number[] {
  const learned = phases.at(-1)?.size ?? usualSide;
  const ratio = Math.min(1, Math.min(learned, evaluation.width, evaluation.height) / usualSide);
  return deepLabStyles[style].rates.map((rate) => Math.max(2, Math.round(rate * ratio)));
}

/** What pictures show where nothing is: drawings leave it as it is. */
function backgroundOf(labels: readonly string[]): number | null {
  const index = labels.findIndex((label) => /^(background|ground|_*bg_*)$/i.test(label));
  return index < 0 ? null : index;
}

function chosen<R extends DetectRecipe | SegmentRecipe>(
  plan: HeadRunPlan,
  recipes: Readonly<Record<string, R>>,
  fallback: string,
  check: RecipeCheck<R>,
  aspect: number,
): R {
  const named = recipeIn(recipes, plan.recipe ?? fallback);
  let recipe: R = plan.recipe === undefined ? fittedTo(named, plan.data.train) : named;
  if (plan.epochs !== undefined) recipe = withEpochs(recipe, plan.epochs);
  const { width, height } = recipe.evaluation;
  const usual = Math.min(width, height);
  const fits = Math.max(32, Math.floor((plan.shortSide ?? usual) / 32) * 32);
  recipe = withWholeSize(recipe, plan.size ?? Math.min(usual, fits), aspect);
  return withOverrides(check({ ...recipe, ...chosenRules(plan) }), plan.set ?? [], check);
}

function basicsOf(
  { from, variant, model, labels, data, name, categoryIds }: HeadRunPlan,
  recipe: DetectRecipe | SegmentRecipe,
) {
  if (from && (variant !== undefined || Object.keys(model ?? {}).length > 0))
    throw new UsageError(
      `train: the weights "${from.name}" decide the net, its widths and branches; leave those options out.`,
    );
  const backbone = from?.config ?? mobileOneConfig(variant ?? 's0', model ?? {});
  const { interpolation, scale, mean, std } = from?.transform ?? evalTransforms.apple;
  const { width, height } = recipe.evaluation;
  const transform: EvalTransform = {
    resize: { kind: 'exact', width, height },
    crop: null,
    ...{ interpolation, scale, mean, std },
  };
  return {
    version: 1 as const,
    name: name ?? backbone.name,
    model: { ...backbone, classes: 0 },
    form: from?.form ?? ('train' as const),
    labels,
    ...(categoryIds ? { categoryIds } : {}),
    transform,
    data,
    from: from?.name ?? null,
  };
}

/** Fresh weights, with those of the source wherever it has the same layer for the same purpose. */
function startOf(
  { from, labels }: HeadRunPlan,
  { model, form }: Pick<SegmentConfig, 'model' | 'form'>,
  head: TaskHead,
  { initial, seed, evaluation }: DetectRecipe | SegmentRecipe,
  auxiliary: boolean,
): Pick<PreparedHeadRun<unknown>, 'weights' | 'fresh'> {
  const { graph } = buildHeadNet(head, model, labels.length, { form, ...evaluation, auxiliary });
  const weights = new Map<string, Tensor>();
  const fresh = new Set<string>();
  const random = createRandom(deriveSeed(seed, predictorStream));
  const sameHead = from?.head?.task === head.task && from.head.style === head.style;
  const sameClasses = sameHead && from?.labels?.join('\n') === labels.join('\n');
  for (const [name, tensor] of initialWeights(graph, initial, seed)) {
    const usable = isBackbone(name) || (sameHead && (sameClasses || !isClassifier(name)));
    const known = usable ? from?.weights.get(name) : undefined;
    const fits = known?.shape.join() === tensor.shape.join();
    if (!fits) fresh.add(name.split('.')[0] ?? name);
    weights.set(name, known && fits ? known : isPredictor(name) ? quiet(tensor, random) : tensor);
  }
  return { weights, fresh: [...fresh] };
}

const isPredictor = (name: string): boolean => /\.(predict|classify)\.weight$/.test(name);
const predictorStream = 1;

/** As torchvision's SSDLite begins: scores near 0, boxes near their anchors; no class of a pixel is sure. */
const quiet = ({ shape, data }: Tensor, random: Random): Tensor => ({
  shape,
  data: Float32Array.from(data, () => 0.03 * random.normal()),
});

const isBackbone = (name: string): boolean => /^(stem|stages)\./.test(name);
/** Layers whose channels are classes. */
const isClassifier = (name: string): boolean => /classify|^ssd\.classes\.\d+\.predict/.test(name);
