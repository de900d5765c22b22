import { activations } from '../../graph/activations.ts';
import type { Node } from '../../graph/graph.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { TrainingRules } from './training-rules.ts';

type Numbers = Float32Array | Float64Array;

const none: Numbers = new Float64Array(0);

function channelsOf({ shape }: Tensor): number {
  return shape.at(-1) ?? 1;
}

/** Σ over positions of f(element, channel) → [C] */
function sumByChannel(
  count: number,
  channels: number,
  value: (i: number, c: number) => number,
): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < count; i++) {
    const c = i % channels;
    sums[c] = (sums[c] ?? 0) + value(i, c);
  }
  return sums;
}

/** Biased: divided by the number of positions. */
function momentsOf({ data }: Tensor, channels: number): { mean: Float64Array; variance: Float64Array } {
  const positions = data.length / channels;
  const mean = sumByChannel(data.length, channels, (i) => (data[i] ?? 0) / positions);
  const variance = sumByChannel(
    data.length,
    channels,
    (i, c) => ((data[i] ?? 0) - (mean[c] ?? 0)) ** 2 / positions,
  );
  return { mean, variance };
}

function normSum({ attrs }: Node<'normSum'>, x: readonly Tensor[], [y, ...moments]: readonly Tensor[]): void {
  if (y === undefined) return;
  const channels = channelsOf(y);
  const sums = new Float64Array(y.data.length);
  for (let branch = 0; 3 * branch < x.length; branch++) {
    const [operand, gamma, beta] = x.slice(3 * branch, 3 * branch + 3);
    if (operand === undefined) continue;
    const { mean, variance } = momentsOf(operand, channels);
    for (let i = 0; i < sums.length; i++) {
      const c = i % channels;
      const unit = ((operand.data[i] ?? 0) - (mean[c] ?? 0)) / Math.sqrt((variance[c] ?? 0) + attrs.eps);
      sums[i] = (sums[i] ?? 0) + unit * (gamma?.data[c] ?? 0) + (beta?.data[c] ?? 0);
    }
    moments[2 * branch]?.data.set(mean);
    moments[2 * branch + 1]?.data.set(variance);
  }
  y.data.set(attrs.fn === null ? sums : sums.map(activations[attrs.fn].value));
}

/**
 * With u = (x − mean)/√(variance + eps) and N positions, per channel: dbeta = Σ dz, dgamma = Σ dz·u and
 * dx = gamma/√(variance + eps)·(dz − dbeta/N − u·dgamma/N), without its last two terms for fixed statistics.
 * @see arXiv:1502.03167, section 3
 */
function normSumGrad(
  { attrs }: Node<'normSumGrad'>,
  [dy, ...rest]: readonly Tensor[],
  [dbeta, ...gradients]: readonly Tensor[],
): void {
  if (dy === undefined) return;
  const channels = channelsOf(dy);
  const positions = dy.data.length / channels;
  const derivative = attrs.fn === null ? undefined : activations[attrs.fn].derivativeAtOutput;
  const y = rest.at(-1)?.data ?? none;
  const dz = Float64Array.from(dy.data, (value, i) => value * (derivative?.(y[i] ?? 0) ?? 1));
  const sum = sumByChannel(dz.length, channels, (i) => dz[i] ?? 0);
  dbeta?.data.set(sum);
  for (let branch = 0; 2 * branch < gradients.length; branch++) {
    const [x, gamma, mean, variance] = rest
      .slice(4 * branch, 4 * branch + 4)
      .map(({ data }): Numbers => data);
    const root = Float64Array.from(variance ?? [], (value) => Math.sqrt(value + attrs.eps));
    const unit = (i: number, c: number): number => ((x?.[i] ?? 0) - (mean?.[c] ?? 0)) / (root[c] ?? 0);
    const dgamma = sumByChannel(dz.length, channels, (i, c) => (dz[i] ?? 0) * unit(i, c));
    gradients[2 * branch + 1]?.data.set(dgamma);
    gradients[2 * branch]?.data.set(
      dz.map((value, i) => {
        const c = i % channels;
        const shared = ((sum[c] ?? 0) + unit(i, c) * (dgamma[c] ?? 0)) / positions;
        return ((gamma?.[c] ?? 0) / (root[c] ?? 0)) * (value - (attrs.statistics === 'batch' ? shared : 0));
      }),
    );
  }
}

export const normTrainingRules: TrainingRules<
  'normSum' | 'normSumGrad' | 'channelSum' | 'activationGrad' | 'scale'
> = {
  normSum,
  normSumGrad,
  channelSum: (_, [x], [y]) => {
    if (x) y?.data.set(sumByChannel(x.data.length, channelsOf(x), (i) => x.data[i] ?? 0));
  },
  activationGrad: ({ attrs }, [dy, x], [dx]) => {
    const { derivative } = activations[attrs.fn];
    if (dy) dx?.data.set(Float64Array.from(dy.data, (value, i) => value * derivative(x?.data[i] ?? 0)));
  },
  scale: ({ attrs }, [x], [y]) => {
    if (x) y?.data.set(Float64Array.from(x.data, (value) => value * attrs.factor));
  },
};
