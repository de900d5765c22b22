/**
 * Numbers after relu lie around a mean that is far from zero, and bf16 rounds them in proportion to themselves. About
 * their mean they are two to three times smaller, and so is what rounding them costs:
 *   relu(z) = μ (x + 1) with x = max(z/μ − 1, −1)        w relu(z) = (w μ) x + w μ
 * for relu commutes with positive factors (arXiv:1906.04721, 4.1). The convolution before gives z/μ − 1, the product
 * behind takes w μ and the constant, and the function between is one maximum as before: the net runs as fast.
 */
import { checkGraph } from '../graph/check.ts';
import { type CheckedGraph, type Node, valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import { makeNode } from '../graph/node-rules.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Moments, ProductMoments } from './product-moments.ts';
import { type Neighbours, neighboursIn, ownParameter, type Product, productsOf } from './products.ts';

/** A channel that was hardly ever above zero is not blown up by more than this against the others. */
const LEAST_SHARE = 1e-6;

/** conv2d → relu → (means over positions, flatten) → product, each read by the next alone. */
interface Site {
  readonly product: Product;
  readonly conv: Node<'conv2d'>;
  readonly relu: Node<'activation'>;
}

function siteOf(graph: CheckedGraph, { giver, reader }: Neighbours, product: Product): Site | undefined {
  const { node } = product;
  // Padding is zero, which the shift would make something else.
  if (node.kind === 'conv2d' && node.attrs.geometry.padding.some((size) => size > 0)) return undefined;
  let value = product.input;
  for (let before = giver(value); before !== undefined; before = giver(value)) {
    const [input] = before.inputs;
    if (reader(value) === undefined || input === undefined) return undefined;
    if (before.kind === 'activation') {
      const conv = giver(input);
      const plain = before.attrs.fn === 'relu' && conv?.kind === 'conv2d' && reader(input) !== undefined;
      return plain ? { product, conv, relu: before } : undefined;
    }
    const channels = valueAt(graph, input).shape.at(-1);
    const keeps = before.kind === 'globalAveragePool' || before.kind === 'flatten';
    if (!keeps || channels !== valueAt(graph, value).shape.at(-1)) return undefined;
    value = input;
  }
  return undefined;
}

/** @returns the same function of the net's inputs, and the moments of what its products now read */
export function centreActivations(
  { graph, weights }: Net,
  moments: ProductMoments,
): { readonly net: Net; readonly moments: ProductMoments } {
  const neighbours = neighboursIn(graph);
  const changed = new Map(weights);
  const centred = new Map(moments);
  const shifted = new Set<Node>();
  for (const product of productsOf(graph)) {
    const site = siteOf(graph, neighbours, product);
    const known = centred.get(product.weight);
    if (site === undefined || known === undefined) continue;
    const own = (node: Node, index: number) => ownParameter(graph, changed, neighbours, node, index);
    const [weight, bias] = [own(site.conv, 1), own(site.conv, 2)];
    const [next, nextBias] = [own(product.node, 1), own(product.node, 2)];
    if (!weight || !bias || !next || !nextBias) continue;
    const centres = centresOf(known.mean, bias.tensor.data.length);
    const divided = (tensor: Tensor, shift: number): Tensor => {
      const each = tensor.data.length / centres.length;
      return map(tensor, (value, i) => value / (centres[Math.floor(i / each)] ?? 1) - shift);
    };
    changed.set(weight.name, divided(weight.tensor, 0));
    changed.set(bias.name, divided(bias.tensor, 1));
    const taps = product.columns / centres.length;
    const centreAt = (column: number): number => centres[Math.floor(column / taps)] ?? 1;
    const scaled = (value: number, i: number): number => value * centreAt(i % product.columns);
    changed.set(next.name, map(next.tensor, scaled));
    changed.set(
      nextBias.name,
      map(nextBias.tensor, (value, output) => {
        let sum = value;
        for (let i = output * product.columns; i < (output + 1) * product.columns; i++)
          sum += scaled(next.tensor.data[i] ?? 0, i);
        return sum;
      }),
    );
    centred.set(product.weight, about(known, centreAt));
    shifted.add(site.relu);
  }
  const nodes = graph.nodes.map((node) =>
    shifted.has(node) ? makeNode('activation', { ...node, attrs: { fn: 'shiftedRelu' } }) : node,
  );
  return { net: { graph: checkGraph({ ...graph, nodes }), weights: changed }, moments: centred };
}

/** Of each channel; any positive number is right, the mean is best. */
function centresOf(mean: Float64Array, channels: number): Float64Array {
  const taps = mean.length / channels;
  const means = Float64Array.from({ length: channels }, (_, channel) =>
    mean.subarray(channel * taps, (channel + 1) * taps).reduce((sum, value) => sum + value / taps, 0),
  );
  const largest = means.reduce((most, value) => Math.max(most, value), 0);
  return means.map((value) => (largest > 0 ? Math.max(value, LEAST_SHARE * largest) : 1));
}

/** Moments of x/c − 1 from those of x. */
function about({ mean, covariance }: Moments, centreAt: (column: number) => number): Moments {
  const size = mean.length;
  return {
    mean: mean.map((value, i) => value / centreAt(i) - 1),
    covariance: covariance?.map((value, i) => value / (centreAt(Math.floor(i / size)) * centreAt(i % size))),
  };
}

function map({ shape, data }: Tensor, change: (value: number, index: number) => number): Tensor {
  const changed = new Float32Array(data.length);
  for (let i = 0; i < changed.length; i++) changed[i] = change(data[i] ?? 0, i);
  return { shape, data: changed };
}
