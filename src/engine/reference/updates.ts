import type { Node } from '../../graph/graph.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

/** The numbers of every tensor at one place. */
function eachPlace(tensors: readonly Tensor[], use: (i: number, values: readonly number[]) => void): void {
  const count = tensors[0]?.data.length ?? 0;
  for (let i = 0; i < count; i++)
    use(
      i,
      tensors.map(({ data }) => data[i] ?? 0),
    );
}

function sgd({ attrs }: Node<'sgd'>, x: readonly Tensor[], [next, velocity]: readonly Tensor[]): void {
  const rate = (x[3]?.data[0] ?? 0) * attrs.rateScale;
  const decay = (x[3]?.data[1] ?? 0) * attrs.decayScale;
  const factor = x[4]?.data[0] ?? 1;
  eachPlace(x.slice(0, 3), (i, [p = 0, gradient = 0, v = 0]) => {
    const g = factor * gradient + decay * p;
    const moved = attrs.momentum * v + g;
    if (velocity) velocity.data[i] = moved;
    if (next) next.data[i] = p - rate * (attrs.nesterov ? g + attrs.momentum * moved : moved);
  });
}

/** @see arXiv:1711.05101, algorithm 2; decay is multiplied by the learning rate, as PyTorch does */
function adamw(
  { attrs }: Node<'adamw'>,
  x: readonly Tensor[],
  [next, first, second]: readonly Tensor[],
): void {
  const [rate = 0, decay = 0, correction1 = 0, correction2 = 0] = x[4]?.data ?? [];
  const { beta1, beta2, eps, rateScale, decayScale } = attrs;
  const factor = x[5]?.data[0] ?? 1;
  const step = rate * rateScale;
  eachPlace(x.slice(0, 4), (i, [p = 0, gradient = 0, m = 0, v = 0]) => {
    const g = factor * gradient;
    const mean = beta1 * m + (1 - beta1) * g;
    const square = beta2 * v + (1 - beta2) * g * g;
    const direction = mean / correction1 / (Math.sqrt(square / correction2) + eps);
    if (first) first.data[i] = mean;
    if (second) second.data[i] = square;
    if (next) next.data[i] = p * (1 - step * decay * decayScale) - step * direction;
  });
}

export const updateRules: TrainingRules<'lerp' | 'clipFactor' | 'sgd' | 'adamw'> = {
  lerp: ({ attrs }, x, [y]) => {
    const rate = attrs.rate ?? x[2]?.data[0] ?? 0;
    eachPlace(x.slice(0, 2), (i, [average = 0, value = 0]) => {
      if (y) y.data[i] = average + rate * (attrs.factor * value - average);
    });
  },
  clipFactor: ({ attrs }, gradients, [factor, norm]) => {
    let squares = 0;
    for (const { data } of gradients) for (const value of data) squares += value * value;
    const length = Math.sqrt(squares);
    norm?.data.fill(length);
    factor?.data.fill(Math.min(1, attrs.maxNorm / (length + 1e-6)));
  },
  sgd,
  adamw,
};
