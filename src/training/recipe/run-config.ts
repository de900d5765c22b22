import * as v from 'valibot';
import { UsageError } from '../../errors.ts';
import { checkEvalTransform, type EvalTransform } from '../../image/eval-transform.ts';
import type { Form } from '../../model/block.ts';
import { type MobileOneConfig, validateConfig } from '../../model/config.ts';
import { checkTaskHead, type DetectHead, type SegmentHead } from '../../task/task-head.ts';
import {
  checkDetectRecipe,
  checkRecipe,
  checkSegmentRecipe,
  type DetectRecipe,
  type Recipe,
  type SegmentRecipe,
} from './recipe.ts';

interface RunBasics {
  readonly version: 1;
  /** What the trained net is called. */
  readonly name: string;
  /** The net, or the backbone of one with a head. */
  readonly model: MobileOneConfig;
  /** Deploy form: the convolutions of a net without branches and norms learn as they are. */
  readonly form: Form;
  readonly labels: readonly string[];
  /** What the data calls its classes beside their names: COCO's ids. */
  readonly categoryIds?: readonly (number | string)[];
  /** How pictures are prepared for evaluation, and for whoever uses the net. */
  readonly transform: EvalTransform;
  /** Where the data lies, and how much of it there is: a run that goes on must find the same. */
  readonly data: {
    readonly name: string;
    readonly train: number;
    readonly validation: number;
    /** Share of the training pictures held out to validate on; null as the data says. */
    readonly holdOut: number | null;
  };
  /** The weights the run started from; null for fresh ones. */
  readonly from: string | null;
}

export interface ClassifyConfig extends RunBasics {
  /** Absent means the same. */
  readonly task?: 'classify';
  readonly recipe: Recipe;
}

export interface DetectConfig extends RunBasics {
  readonly task: 'detect';
  readonly head: DetectHead;
  readonly recipe: DetectRecipe;
}

export interface SegmentConfig extends RunBasics {
  readonly task: 'segment';
  readonly head: SegmentHead;
  /** What a pixel of each class weighs in the loss; absent: all the same. */
  readonly classWeights?: readonly number[];
  readonly recipe: SegmentRecipe;
}

/** Everything that decides what a run computes, as plain JSON: `config.json` of its folder. */
export type RunConfig = ClassifyConfig | DetectConfig | SegmentConfig;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const schema = v.strictObject({
  version: v.literal(1),
  task: v.exactOptional(v.picklist(['classify', 'detect', 'segment'])),
  name: v.string(),
  head: v.exactOptional(v.unknown()),
  model: v.strictObject({
    name: v.string(),
    inChannels: count,
    stemChannels: count,
    stages: v.array(v.strictObject({ pairs: count, channels: count, squeezeExcitePairs: count })),
    branches: count,
    classes: count,
    squeezeRounding: v.picklist(['floor', 'divisor8', 'corenet']),
  }),
  form: v.picklist(['train', 'deploy']),
  labels: v.array(v.string()),
  categoryIds: v.exactOptional(v.array(v.union([v.pipe(v.number(), v.integer()), v.string()]))),
  classWeights: v.exactOptional(v.array(v.pipe(v.number(), v.finite(), v.gtValue(0)))),
  transform: v.unknown(),
  recipe: v.unknown(),
  data: v.strictObject({
    name: v.string(),
    train: count,
    validation: count,
    holdOut: v.nullable(v.number()),
  }),
  from: v.nullable(v.string()),
});

/** @throws UsageError naming what is not as it should be; ImageError for the transform, FormatError for the head */
export function checkRunConfig(value: unknown, where: string): RunConfig {
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
    throw new UsageError(`${where}: ${faults.join('; ')}.`, { faults });
  }
  const { task, head, classWeights, ...rest } = result.output;
  validateConfig(rest.model);
  const basics = { ...rest, transform: checkEvalTransform(rest.transform, `${where}: transform`) };
  const at = `${where}: recipe`;
  if (task === undefined || task === 'classify')
    return { ...basics, recipe: checkRecipe(rest.recipe, at), ...(task ? { task } : {}) };
  const known = checkTaskHead(head, `${where}: head`);
  if (known.task === 'detect' && task === 'detect')
    return { ...basics, recipe: checkDetectRecipe(rest.recipe, at), task, head: known };
  if (known.task === 'segment' && task === 'segment')
    return {
      ...{ ...basics, recipe: checkSegmentRecipe(rest.recipe, at), task, head: known },
      ...(classWeights ? { classWeights } : {}),
    };
  throw new UsageError(`${where}: the task is "${task}", but the head is one for "${known.task}".`);
}

/** @throws UsageError for a run that learns something else */
export function requireClassify(config: RunConfig): ClassifyConfig {
  if (config.task === undefined || config.task === 'classify') return config;
  throw new UsageError(`run "${config.name}": expected one that learns to classify, found "${config.task}".`);
}

/** Pictures computed at a time: a part of the recipe's batch, or of all there are when they are fewer. */
export function batchOf({ recipe, data }: RunConfig): number {
  return Math.max(1, Math.floor(Math.min(recipe.batch, data.train) / recipe.accumulate));
}

/** What is over after the last whole step of an epoch is left out; another epoch shuffles it in. */
export function stepsPerEpoch(config: RunConfig): number {
  return Math.floor(config.data.train / (batchOf(config) * config.recipe.accumulate));
}
