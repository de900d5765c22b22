import * as v from 'valibot';

/**
 * Everything of a recipe that changes while a net learns. Each value is a pure function of plain data and of how many
 * steps have been taken, so that a run that goes on from a checkpoint, or a plot, needs no history.
 */

/** Where a run is. Steps count from 0 at its start; all epochs have as many. */
export interface Moment {
  readonly step: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

const epochOf = ({ step, stepsPerEpoch }: Moment): number => Math.floor(step / stepsPerEpoch);

/** Data that nobody changes, all the way down. */
export type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

const finite = v.pipe(v.number(), v.finite());
const atLeast0 = v.pipe(finite, v.minValue(0));
const share = v.pipe(atLeast0, v.maxValue(1));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** How a value goes from `base` to the end of the run; `final` is reached when the last epoch is over. */
const decline = v.variant('kind', [
  v.strictObject({ kind: v.literal('constant') }),
  /** final + (base − final)·(1 + cos πt)/2, t from 0 to 1 between the end of the warm-up and of the run */
  v.strictObject({ kind: v.literal('cosine'), final: atLeast0 }),
  /** final + (base − final)·(1 − t)^power */
  v.strictObject({ kind: v.literal('poly'), final: atLeast0, power: v.pipe(finite, v.gtValue(0)) }),
  /** times `factor` at the start of each of these epochs */
  v.strictObject({ kind: v.literal('step'), epochs: v.array(count), factor: atLeast0 }),
]);

export const scheduleSchema = v.strictObject({
  base: atLeast0,
  decline,
  /** How often it changes after the warm-up: once an epoch, as the published recipes do, or with every step. */
  every: v.picklist(['epoch', 'step']),
  /** Linear from `start`·base, changing with every step; the last step of the warm-up has the base. */
  warmUp: v.strictObject({ unit: v.picklist(['epochs', 'steps']), length: count, start: share }),
});

export type Schedule = DeepReadonly<v.InferOutput<typeof scheduleSchema>>;

export const noWarmUp = { unit: 'epochs', length: 0, start: 1 } as const;

/** @see mmengine LinearLR and CosineAnnealingLR, whose numbers this gives (facts of the mmpretrain recipe) */
export function scheduled(schedule: Schedule, moment: Moment): number {
  const { base, warmUp, every } = schedule;
  const { step, stepsPerEpoch, epochs } = moment;
  const warmSteps = warmUp.unit === 'epochs' ? warmUp.length * stepsPerEpoch : warmUp.length;
  if (step < warmSteps) {
    const done = warmSteps === 1 ? 1 : step / (warmSteps - 1);
    return base * (warmUp.start + (1 - warmUp.start) * done);
  }
  const from = every === 'epoch' ? Math.floor(warmSteps / stepsPerEpoch) : warmSteps / stepsPerEpoch;
  const epoch = every === 'epoch' ? epochOf(moment) : step / stepsPerEpoch;
  const progress = epochs > from ? Math.min(1, (epoch - from) / (epochs - from)) : 1;
  return declined(schedule, progress, epoch);
}

function declined({ base, decline: rule }: Schedule, progress: number, epoch: number): number {
  switch (rule.kind) {
    case 'constant':
      return base;
    case 'cosine':
      return rule.final + ((base - rule.final) * (1 + Math.cos(Math.PI * progress))) / 2;
    case 'poly':
      return rule.final + (base - rule.final) * (1 - progress) ** rule.power;
    case 'step':
      return base * rule.factor ** rule.epochs.filter((at) => at <= epoch).length;
  }
}

/** Progressive learning: pictures' size and the strength of augmentation (0 … 1) from an epoch on. */
export const phaseSchema = v.strictObject({
  epoch: count,
  size: v.pipe(v.number(), v.integer(), v.minValue(1)),
  strength: share,
});

export type Phase = DeepReadonly<v.InferOutput<typeof phaseSchema>>;

/** The last phase that has begun. @param phases in order, the first from epoch 0 */
export function phaseAt(phases: readonly Phase[], epoch: number): Phase {
  const [first = { epoch: 0, size: 224, strength: 1 }] = phases;
  return phases.findLast((phase) => phase.epoch <= epoch) ?? first;
}

export const averageSchema = v.strictObject({
  /** Share of the newest weights in the average: 1 − decay. */
  momentum: v.pipe(share, v.gtValue(0)),
  /** A young average forgets faster: momentum max(m, 9/(t + 10)) at step t. */
  warmUp: v.boolean(),
});

export type Average = DeepReadonly<v.InferOutput<typeof averageSchema>>;

/**
 * Momentum of the exponential moving average at a step; the first step copies.
 * @see mmengine ExponentialMovingAverage; the warm-up is that of TensorFlow and timm, decay min(d, (1 + t)/(10 + t))
 */
export function averageMomentum({ momentum, warmUp }: Average, step: number): number {
  if (step === 0) return 1;
  return warmUp ? Math.max(momentum, 9 / (step + 10)) : momentum;
}

/**
 * Scale of the learning rate of each layer, deepest layers first: decay^(distance from the end), so that the head
 * learns at the full rate and the stem slowest.
 */
export function layerScales(layers: readonly string[], decay: number): ReadonlyMap<string, number> {
  return new Map(layers.map((layer, i) => [layer, decay ** (layers.length - 1 - i)]));
}
