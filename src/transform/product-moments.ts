/** What products read of some pictures: means, and how inputs vary together. */
import { checkGraph } from '../graph/check.ts';
import { type CheckedGraph, type Node, type Value, type ValueId, valueAt } from '../graph/graph.ts';
import { makeNode, outputShapes } from '../graph/node-rules.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { productsOf } from './products.ts';

/** Of the patches that a product reads, over positions and pictures; padding counts as zeros. */
export interface Moments {
  /** As long as a row of the weight. */
  readonly mean: Float64Array;
  /**
   * Its square, row-major, biased. Undefined where a picture has a single position: pictures are far fewer than inputs
   * there and tell nothing about how these vary together.
   */
  readonly covariance: Float64Array | undefined;
}

/** By name of the weight. */
export type ProductMoments = ReadonlyMap<string, Moments>;

const meanOf = (weight: string): string => `${weight} mean`;
const covarianceOf = (weight: string): string => `${weight} covariance`;

/** The net up to what its products read, for one picture at a time; outputs are what `momentSums` adds up. */
export function momentsGraph(graph: CheckedGraph): CheckedGraph {
  const values: Value[] = [...graph.values];
  const nodes: Node[] = [...graph.nodes];
  const outputs: { name: string; value: ValueId }[] = [];
  for (const { node, input, weight } of productsOf(graph)) {
    if (node.kind === 'linear') {
      outputs.push({ name: meanOf(weight), value: input });
      continue;
    }
    const { geometry } = node.attrs;
    const shapes = outputShapes('patchMoments', { geometry }, [valueAt(graph, input).shape]);
    const made = shapes.map((shape, i) => {
      values.push({ name: `${node.name} moments ${i}`, shape });
      return (values.length - 1) as ValueId;
    });
    const parts = { name: `${node.name} moments`, attrs: { geometry }, inputs: [input], outputs: made };
    nodes.push(makeNode('patchMoments', parts));
    const [, height = 1, width = 1] = valueAt(graph, node.outputs[0] ?? input).shape;
    const [mean = input, covariance = input] = made;
    outputs.push({ name: meanOf(weight), value: mean });
    if (height * width > 1) outputs.push({ name: covarianceOf(weight), value: covariance });
  }
  return checkGraph({ ...graph, values, nodes, outputs, updates: [] });
}

export interface MomentSums {
  /** @param outputs of one run of `momentsGraph` */
  readonly add: (outputs: Readonly<Record<string, Tensor>>) => void;
  readonly moments: () => ProductMoments;
}

/** Adds up pictures: E[covariance + mean meanᵀ] less the square of the mean of all. */
export function momentSums(graph: CheckedGraph): MomentSums {
  const sums = productsOf(graph).map(({ weight, columns }) => ({
    weight,
    columns,
    mean: new Float64Array(columns),
    squares: undefined as Float64Array | undefined,
  }));
  let pictures = 0;
  return {
    add: (outputs) => {
      pictures++;
      for (const sum of sums) {
        const mean = outputs[meanOf(sum.weight)]?.data ?? [];
        const covariance = outputs[covarianceOf(sum.weight)]?.data;
        for (let i = 0; i < sum.columns; i++) sum.mean[i] = (sum.mean[i] ?? 0) + (mean[i] ?? 0);
        if (covariance === undefined) continue;
        sum.squares ??= new Float64Array(covariance.length);
        addSquares(sum.squares, covariance, mean);
      }
    },
    moments: () =>
      new Map(
        sums.map(({ weight, mean: sum, squares }) => {
          const mean = sum.map((value) => value / pictures);
          const covariance = squares?.map((value) => value / pictures);
          if (covariance)
            addSquares(
              covariance,
              covariance.map(() => 0),
              mean,
              -1,
            );
          return [weight, { mean, covariance }];
        }),
      ),
  };
}

/** squares ← squares + covariance + factor · mean meanᵀ */
function addSquares(
  squares: Float64Array,
  covariance: ArrayLike<number>,
  mean: ArrayLike<number>,
  factor = 1,
): void {
  const size = mean.length;
  for (let i = 0; i < size; i++) {
    const own = factor * (mean[i] ?? 0);
    for (let at = i * size, j = 0; j < size; at++, j++)
      squares[at] = (squares[at] ?? 0) + (covariance[at] ?? 0) + own * (mean[j] ?? 0);
  }
}
