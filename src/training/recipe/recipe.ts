import * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { averageSchema, type DeepReadonly, phaseSchema, scheduleSchema } from './schedules.ts';

const finite = v.pipe(v.number(), v.finite());
const atLeast0 = v.pipe(finite, v.minValue(0));
const positive = v.pipe(finite, v.gtValue(0));
const share = v.pipe(atLeast0, v.maxValue(1));
const below1 = v.pipe(atLeast0, v.ltValue(1));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const range = v.strictTuple([positive, positive]);

const optimizer = v.variant('kind', [
  v.strictObject({ kind: v.literal('sgd'), momentum: below1, nesterov: v.boolean() }),
  v.strictObject({ kind: v.literal('adamw'), beta1: below1, beta2: below1, eps: positive }),
]);

/** What is done to training pictures after decoding, in this order. Absent effects are null or 0. */
const augment = v.strictObject({
  /** Share of the picture's area and width/height of the crop that is resized to the phase's size. */
  crop: v.strictObject({ area: range, ratio: range }),
  /** Chance of a horizontal flip. */
  flip: share,
  /** Brightness, contrast and saturation each by a factor from 1 − x to 1 + x; hue by ±x of a turn. */
  color: v.nullable(v.strictObject({ brightness: share, contrast: share, saturation: share, hue: share })),
  /** timm's increasing policies; `level` of 10 is multiplied by the phase's strength. */
  randAugment: v.nullable(v.strictObject({ count, level: atLeast0, deviation: atLeast0 })),
  autoAugment: v.boolean(),
  /** Chance of random erasing. */
  erase: share,
  /** Parameter of the Beta distribution of mixup and cutmix, 0 for none; with both, each is taken half the time. */
  mixup: atLeast0,
  cutmix: atLeast0,
});

/** What every recipe says, whatever is learned. */
const common = {
  name: v.string(),
  epochs: count,
  /** Pictures of a step. */
  batch: count,
  /**
   * Parts that a step's pictures are computed in, one after the other, in less memory. Batch norms measure each part;
   * the loss is the whole step's, whatever each part has to learn from (`StepPart`).
   */
  accumulate: v.optional(count, 1),
  /** Picture sizes and strengths of augmentation, by the epoch from which they hold; the first from 0. */
  phases: v.pipe(v.array(phaseSchema), v.minLength(1)),
  /** How fresh weights are drawn. */
  initial: v.picklist(['mmpretrain', 'timm', 'apple']),
  optimizer,
  /** Learning rate for `rateForBatch` pictures a step; it grows and shrinks in proportion to `batch`. */
  rate: scheduleSchema,
  rateForBatch: count,
  decay: scheduleSchema,
  /** Who decays beside the weights. */
  decayed: v.strictObject({ norms: v.boolean(), biases: v.boolean() }),
  /** Largest norm of all gradients together; null for no limit. */
  clip: v.nullable(positive),
  average: v.nullable(averageSchema),
  /** Learning rates fall by this factor from layer to layer towards the stem; 1 for one rate. */
  layerDecay: v.pipe(share, v.gtValue(0)),
  /** What does not learn: `none`, `stem`, `stage1` … (everything up to it), `backbone` (all but the heads). */
  freeze: v.pipe(
    v.string(),
    v.regex(/^(none|stem|stage[1-9]|backbone)$/, 'expected none, stem, stage1 … or backbone'),
  ),
  /** Which blocks train as one convolution: those where it pays, all or none. The numbers are the same to rounding. */
  mergeBranches: v.picklist(['paying', 'all', 'none']),
  /** bf16: factors of matrix products are rounded, everything else stays f32; for processors with AMX or AVX512-BF16. */
  precision: v.picklist(['f32', 'bf16'], 'expected f32 or bf16'),
  seed: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
};

const recipeSchema = v.strictObject({
  ...common,
  /** Pictures for validation: short side resized to `resize`, centre crop of `size`. */
  evaluation: v.strictObject({ size: count, resize: count }),
  loss: v.strictObject({
    kind: v.picklist(['crossEntropy', 'binaryCrossEntropy']),
    smoothing: below1,
  }),
  /** With a teacher: share of its answers, softened by the temperature, in the targets. */
  distill: v.nullable(v.strictObject({ share, temperature: positive })),
  augment,
});

/** Nets with heads look at whole pictures, resized to this. */
const wholePicture = v.strictObject({ width: count, height: count });
const color = v.nullable(
  v.strictObject({ brightness: share, contrast: share, saturation: share, hue: share }),
);

const detectSchema = v.strictObject({
  ...common,
  evaluation: wholePicture,
  /**
   * Anchors without an object that count, for each that has one; overlap from which an anchor has an object; and how
   * many of its best anchors an object has at least.
   */
  loss: v.strictObject({ negatives: count, iou: share, leastAnchors: count }),
  /** @see DetectAugmentation */
  augment: v.strictObject({
    color,
    mosaic: v.nullable(v.strictObject({ chance: share, scale: range })),
    expand: v.nullable(v.strictObject({ chance: share, factor: range })),
    crop: v.nullable(v.strictObject({ leastIou: v.array(share), scale: range, ratio: range, tries: count })),
    scale: v.nullable(range),
    flip: share,
    keepAspect: v.boolean(),
    leastVisible: share,
  }),
});

const segmentSchema = v.strictObject({
  ...common,
  evaluation: wholePicture,
  /**
   * Cross-entropy of every pixel, plus `auxiliary` times that of the second head; 0 for none. Pixels weigh by their
   * class's share of all pixels to the power −`balance` (`balancedWeights`); 0 for alike.
   */
  loss: v.strictObject({ smoothing: below1, auxiliary: atLeast0, balance: v.optional(share, 0) }),
  /** @see SegmentAugmentation */
  augment: v.strictObject({ color, scale: range, flip: share }),
});

/** What all recipes have in common. */
export type CommonRecipe = DeepReadonly<v.InferOutput<v.StrictObjectSchema<typeof common, undefined>>>;

/** Everything that decides how a net learns, as plain JSON. */
export type Recipe = DeepReadonly<v.InferOutput<typeof recipeSchema>>;
export type DetectRecipe = DeepReadonly<v.InferOutput<typeof detectSchema>>;
export type SegmentRecipe = DeepReadonly<v.InferOutput<typeof segmentSchema>>;

/** Outside data → a recipe. @throws UsageError naming every key that is not as it should be */
export type RecipeCheck<R> = (value: unknown, where?: string) => R;

const checker =
  <R extends CommonRecipe>(
    parse: (value: unknown) => v.SafeParseResult<v.GenericSchema<unknown, R>>,
  ): RecipeCheck<R> =>
  (value, where = 'recipe') => {
    const result = parse(value);
    if (!result.success) {
      const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
      throw new UsageError(`${where}: ${faults.join('; ')}.`, { faults });
    }
    return checkParts(checkPhases(result.output, where), where);
  };

export const checkRecipe: RecipeCheck<Recipe> = checker((value) => v.safeParse(recipeSchema, value));
export const checkDetectRecipe: RecipeCheck<DetectRecipe> = checker((value) =>
  v.safeParse(detectSchema, value),
);
export const checkSegmentRecipe: RecipeCheck<SegmentRecipe> = checker((value) =>
  v.safeParse(segmentSchema, value),
);

function checkParts<R extends CommonRecipe>(recipe: R, where: string): R {
  const { batch, accumulate } = recipe;
  if (batch % accumulate !== 0)
    throw new UsageError(
      `${where}: batch must be a multiple of accumulate, found ${batch} pictures in ${accumulate} parts.`,
    );
  return recipe;
}

function checkPhases<R extends CommonRecipe>(recipe: R, where: string): R {
  const epochs = recipe.phases.map(({ epoch }) => epoch);
  if (epochs[0] !== 0 || epochs.some((epoch, i) => i > 0 && epoch <= (epochs[i - 1] ?? 0)))
    throw new UsageError(
      `${where}: phases must start with epochs 0 < … in rising order, found ${epochs.join(', ')}.`,
    );
  return recipe;
}

/** Another number of epochs: phases, warm-up and steps of the rate move in proportion. */
export function withEpochs<R extends CommonRecipe>(recipe: R, epochs: number): R {
  const ratio = epochs / recipe.epochs;
  const scale = (epoch: number): number => Math.round(epoch * ratio);
  const schedule = (from: CommonRecipe['rate']): CommonRecipe['rate'] => ({
    ...from,
    warmUp:
      from.warmUp.unit === 'epochs' ? { ...from.warmUp, length: scale(from.warmUp.length) } : from.warmUp,
    decline:
      from.decline.kind === 'step'
        ? { ...from.decline, epochs: from.decline.epochs.map(scale) }
        : from.decline,
  });
  const moved = recipe.phases.map((phase) => ({ ...phase, epoch: scale(phase.epoch) }));
  // Of phases that fall on one epoch the last holds.
  const phases = moved.filter((phase, i) => moved[i + 1]?.epoch !== phase.epoch);
  return { ...recipe, epochs, phases, rate: schedule(recipe.rate), decay: schedule(recipe.decay) };
}

/** Another size of pictures; those of earlier phases, and the resize before a crop, keep their ratio to it. */
export function withSize(recipe: Recipe, size: number): Recipe {
  const { evaluation } = recipe;
  const cropped = Math.round((size * evaluation.resize) / evaluation.size);
  return { ...recipe, phases: resized(recipe.phases, size), evaluation: { size, resize: cropped } };
}

/**
 * Another size of pictures for a net with a head.
 * @param size side of training pictures in the last phase, and short side of whole pictures
 * @param aspect width over height of whole pictures
 */
export function withWholeSize<R extends DetectRecipe | SegmentRecipe>(
  recipe: R,
  size: number,
  aspect: number,
): R {
  const long = inSteps(size * Math.max(aspect, 1 / aspect));
  const evaluation = aspect > 1 ? { width: long, height: size } : { width: size, height: long };
  return { ...recipe, phases: resized(recipe.phases, size), evaluation };
}

/** The net halves pictures five times; sizes between are padded for nothing. */
const inSteps = (size: number): number => Math.max(32, Math.round(size / 32) * 32);

function resized(phases: CommonRecipe['phases'], size: number): CommonRecipe['phases'] {
  const ratio = size / (phases.at(-1)?.size ?? size);
  return phases.map((phase, i, all) => ({
    ...phase,
    size: i === all.length - 1 ? size : inSteps(phase.size * ratio),
  }));
}

/**
 * Replaces values by their dotted keys: `rate.base=0.2`, `phases.0.size=96`, `average=null`. A value is JSON, or a
 * text as it is.
 * @throws UsageError for a key that a recipe does not have, and for a value of another kind
 */
export function withOverrides(recipe: Recipe, overrides: readonly string[]): Recipe;
export function withOverrides<R extends CommonRecipe>(
  recipe: R,
  overrides: readonly string[],
  check: RecipeCheck<R>,
): R;
export function withOverrides(
  recipe: CommonRecipe,
  overrides: readonly string[],
  check: RecipeCheck<CommonRecipe> = checkRecipe,
): CommonRecipe {
  let value: unknown = recipe;
  for (const override of overrides) {
    const match = /^([^=]+)=(.*)$/s.exec(override);
    if (!match) throw new UsageError(`--set ${override}: expected key=value, such as rate.base=0.2.`);
    const [, key = '', text = ''] = match;
    value = replaced(value, key.trim().split('.'), parsed(text), key.trim());
  }
  return check(value, `--set ${overrides.join(' --set ')}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function replaced(value: unknown, path: readonly string[], next: unknown, key: string): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return next;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, head)) {
    const known = typeof value === 'object' && value !== null ? Object.keys(value).join(', ') : 'nothing';
    throw new UsageError(`--set ${key}: there is no "${head}"; here there is ${known}.`, { key });
  }
  const entries = Object.entries(value).map(([name, item]) => [
    name,
    name === head ? replaced(item, rest, next, key) : item,
  ]);
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

/** Learning rate's schedule for the recipe's own batch. */
export function rateSchedule({ rate, batch, rateForBatch }: CommonRecipe): CommonRecipe['rate'] {
  const factor = batch / rateForBatch;
  const { decline } = rate;
  const final = 'final' in decline ? { ...decline, final: decline.final * factor } : decline;
  return { ...rate, base: rate.base * factor, decline: final };
}
