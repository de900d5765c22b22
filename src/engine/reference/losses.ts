import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

type Numbers = Float32Array | Float64Array;

const none: Numbers = new Float64Array(0);

/** One row of logits with its targets t′, smoothed: (1 − smoothing)·t + smoothing·Σt/K. */
interface Row {
  readonly start: number;
  readonly logits: Numbers;
  readonly targets: Float64Array;
  /** Σt */
  readonly weight: number;
  /** log Σ exp(logits) */
  readonly logSum: number;
}

function rowsOf(logits: Tensor, targets: Tensor, smoothing: number): readonly Row[] {
  const classes = logits.shape.at(-1) ?? 1;
  return Array.from({ length: logits.data.length / classes }, (_, i) => {
    const start = i * classes;
    const row = logits.data.subarray(start, start + classes);
    const given = targets.data.subarray(start, start + classes);
    const weight = sumOf(given);
    let most = Number.NEGATIVE_INFINITY;
    for (const z of row) most = Math.max(most, z);
    return {
      start,
      logits: row,
      targets: Float64Array.from(given, (t) => (1 - smoothing) * t + (smoothing * weight) / classes),
      weight,
      logSum: most + Math.log(sumOf(Float64Array.from(row, (z) => Math.exp(z - most)))),
    };
  });
}

function sumOf(values: Numbers): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** Where no row counts, the loss and its gradient are 0. */
const perWeight = (value: number, weight: number): number => (weight === 0 ? 0 : value / weight);

function crossEntropy(logits: Tensor, targets: Tensor, smoothing: number): number {
  let [loss, weight] = [0, 0];
  for (const row of rowsOf(logits, targets, smoothing)) {
    weight += row.weight;
    row.targets.forEach((t, k) => {
      loss += t * (row.logSum - (row.logits[k] ?? 0));
    });
  }
  return perWeight(loss, weight);
}

function crossEntropyGrad(logits: Tensor, targets: Tensor, smoothing: number, dloss: number): Float64Array {
  const rows = rowsOf(logits, targets, smoothing);
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  const gradient = new Float64Array(logits.data.length);
  for (const row of rows)
    row.targets.forEach((t, k) => {
      const probability = Math.exp((row.logits[k] ?? 0) - row.logSum);
      gradient[row.start + k] = dloss * perWeight(row.weight * probability - t, total);
    });
  return gradient;
}

/** −t·log σ(z) − (1 − t)·log(1 − σ(z)) */
const binaryLoss = (z: number, t: number): number =>
  Math.max(z, 0) - z * t + Math.log1p(Math.exp(-Math.abs(z)));

export const lossRules: TrainingRules<
  'crossEntropy' | 'crossEntropyGrad' | 'binaryCrossEntropy' | 'binaryCrossEntropyGrad'
> = {
  crossEntropy: ({ attrs }, [logits, targets], [loss]) => {
    if (logits && targets) loss?.data.fill(crossEntropy(logits, targets, attrs.smoothing));
  },
  crossEntropyGrad: ({ attrs }, [logits, targets, dloss], [gradient]) => {
    if (logits && targets)
      gradient?.data.set(crossEntropyGrad(logits, targets, attrs.smoothing, dloss?.data[0] ?? 0));
  },
  binaryCrossEntropy: (_, [logits, targets], [loss]) => {
    const t: Numbers = targets?.data ?? none;
    const losses = Float64Array.from(logits?.data ?? none, (z, i) => binaryLoss(z, t[i] ?? 0));
    loss?.data.fill(sumOf(losses) / losses.length);
  },
  binaryCrossEntropyGrad: (_, [logits, targets, dloss], [gradient]) => {
    const t: Numbers = targets?.data ?? none;
    const share = (dloss?.data[0] ?? 0) / t.length;
    gradient?.data.set(
      Float64Array.from(logits?.data ?? none, (z, i) => share * (1 / (1 + Math.exp(-z)) - (t[i] ?? 0))),
    );
  },
};
