/**
 * Weights that precision bf16 takes as they are, chosen by what the net's products read. Rows are rounded by
 * `nearestPlane`. Where relu and a depthwise convolution follow, a row may be of any positive size, for the depthwise
 * weights can take the factor back (arXiv:1906.04721, 4.1): of several sizes the one is taken at which rounding costs
 * least. What shift remains is taken from the bias.
 */
import type { CheckedGraph } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';
import { nearestPlane, type RoundRow, roundEach } from './nearest-plane.ts';
import type { ProductMoments } from './product-moments.ts';
import {
  type NamedTensor,
  type Neighbours,
  neighboursIn,
  ownParameter,
  type Product,
  productsOf,
} from './products.ts';

/**
 * Sizes to try lie within an octave, where all of bf16's steps are. The longer a row, the less the sizes differ and the
 * more each takes to try: for Apple's S0, 16 sizes halve the errors of rows of 48 and take a fifth from those of 256.
 */
const MOST_SIZES = 16;
const SIZED_NUMBERS = 2048;

function sizesFor(columns: number): readonly number[] {
  const count = Math.max(1, Math.min(MOST_SIZES, Math.round(SIZED_NUMBERS / columns)));
  return Array.from({ length: count }, (_, i) => 2 ** (i / count));
}

interface RoundedRows {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** By which each row is larger than it was. */
  readonly sizes: Float64Array;
}

/** @returns all weights, those of products that moments are known of as bf16 numbers */
export function roundProducts({ graph, weights }: Net, moments: ProductMoments): Weights {
  const neighbours = neighboursIn(graph);
  const changed = new Map<string, Tensor>(weights);
  for (const product of productsOf(graph)) {
    const [known, weight, bias] = [moments.get(product.weight), ...tensorsOf(product, changed)];
    if (known === undefined || weight === undefined || bias === undefined) continue;
    const next = depthwiseBehind(graph, changed, neighbours, product);
    const round = known.covariance ? nearestPlane(known.covariance) : roundEach;
    const sizes = next && known.covariance ? sizesFor(product.columns) : [1];
    const rows = roundRows(weight.data, bias.data, known.mean, round, sizes);
    changed.set(product.weight, { shape: weight.shape, data: rows.weight });
    changed.set(product.bias, { shape: bias.shape, data: rows.bias });
    if (next) {
      const taps = next.tensor.data.length / rows.sizes.length;
      const data = next.tensor.data.map((value, i) => value / (rows.sizes[Math.floor(i / taps)] ?? 1));
      changed.set(next.name, { shape: next.tensor.shape, data });
    }
  }
  return changed;
}

const tensorsOf = ({ weight, bias }: Product, weights: Weights) =>
  [weights.get(weight), weights.get(bias)] as const;

/** The weight of the depthwise convolution that alone reads what relu makes of a product. */
function depthwiseBehind(
  graph: CheckedGraph,
  weights: Weights,
  neighbours: Neighbours,
  { node }: Product,
): NamedTensor | undefined {
  const relu = neighbours.reader(node.outputs[0]);
  if (relu?.kind !== 'activation' || relu.attrs.fn !== 'relu') return undefined;
  const next = neighbours.reader(relu.outputs[0]);
  if (next?.kind !== 'conv2d') return undefined;
  const weight = ownParameter(graph, weights, neighbours, next, 1);
  const [channels, each] = weight?.tensor.shape ?? [];
  return channels === next.attrs.geometry.groups && channels > 1 && each === 1 ? weight : undefined;
}

function roundRows(
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  mean: Float64Array,
  round: RoundRow,
  candidates: readonly number[],
): RoundedRows {
  const [columns, outputs] = [mean.length, bias.length];
  const rows = {
    weight: new Float32Array(weight.length),
    bias: new Float32Array(outputs),
    sizes: new Float64Array(outputs),
  };
  const [scaled, rounded] = [new Float64Array(columns), new Float64Array(columns)];
  for (let output = 0; output < outputs; output++) {
    const first = output * columns;
    let least = Number.POSITIVE_INFINITY;
    for (const size of candidates) {
      for (let i = 0; i < columns; i++) scaled[i] = size * (weight[first + i] ?? 0);
      const square = round(scaled, rounded) / size ** 2;
      if (square >= least) continue;
      least = square;
      rows.weight.set(rounded, first);
      rows.sizes[output] = size;
    }
    const size = rows.sizes[output] ?? 1;
    let shift = 0;
    for (let i = 0; i < columns; i++)
      shift += ((rows.weight[first + i] ?? 0) - size * (weight[first + i] ?? 0)) * (mean[i] ?? 0);
    rows.bias[output] = size * (bias[output] ?? 0) - shift;
  }
  return rows;
}
