import { type CheckedGraph, type Node, type ParameterRole, type ValueId, valueAt } from '../graph/graph.ts';
import { createRandom, type Random } from '../tensor/random.ts';
import { elementCount, type Shape, type Tensor, type Weights } from '../tensor/tensor.ts';

/**
 * `mmpretrain`: Kaiming normal over fan-out for convolutions. `timm`: the same with fan-out divided by groups.
 * Both: linear N(0, 0.01), biases 0. `apple`: PyTorch's defaults, uniform ±1/√fan-in for weights and biases.
 */
export type InitialScheme = 'mmpretrain' | 'timm' | 'apple';

interface Fans {
  readonly convolution: boolean;
  readonly fanIn: number;
  readonly fanOut: number;
  readonly groups: number;
}

type Fill = (random: Random, fans: Fans) => () => number;

const zero: Fill = () => () => 0;
const normal =
  (deviation: (fans: Fans) => number): Fill =>
  (random, fans) =>
  () =>
    random.normal() * deviation(fans);
const uniform: Fill = (random, fans) => () => (2 * random.uniform() - 1) / Math.sqrt(fans.fanIn);

const schemes: Readonly<Record<InitialScheme, Readonly<Record<'weight' | 'bias', Fill>>>> = {
  mmpretrain: { weight: normal((f) => (f.convolution ? Math.sqrt(2 / f.fanOut) : 0.01)), bias: zero },
  timm: { weight: normal((f) => (f.convolution ? Math.sqrt((2 * f.groups) / f.fanOut) : 0.01)), bias: zero },
  apple: { weight: uniform, bias: uniform },
};

/** Fresh parameters: batch norms are the identity (gamma 1, beta 0, mean 0, variance 1). f32. */
export function initialWeights(graph: CheckedGraph, scheme: InitialScheme, seed: number): Weights {
  const random = createRandom(seed);
  const users = new Map<ValueId, Node>();
  for (const node of graph.nodes) for (const id of node.inputs) users.set(id, node);
  const weights = new Map<string, Tensor>();
  for (const { value, role } of graph.parameters) {
    const { name, shape } = valueAt(graph, value);
    const data = new Float32Array(elementCount(shape));
    fillParameter(data, role, scheme, random, fansOf(graph, users.get(value)));
    weights.set(name, { shape, data });
  }
  return weights;
}

function fillParameter(
  data: Float32Array,
  role: ParameterRole,
  scheme: InitialScheme,
  random: Random,
  fans: Fans,
): void {
  if (role === 'weight' || role === 'bias') {
    const next = schemes[scheme][role](random, fans);
    for (let i = 0; i < data.length; i++) data[i] = next();
  } else data.fill(role === 'gamma' || role === 'variance' ? 1 : 0);
}

/** PyTorch's fans of the weight a node uses: dim 1 × window in, dim 0 × window out. */
function fansOf(graph: CheckedGraph, node: Node | undefined): Fans {
  const weight: Shape = node?.inputs[1] === undefined ? [] : valueAt(graph, node.inputs[1]).shape;
  const window = elementCount(weight.slice(2));
  const groups = node?.kind === 'conv2d' ? node.attrs.geometry.groups : 1;
  return {
    convolution: node?.kind === 'conv2d',
    fanIn: (weight[1] ?? 1) * window,
    fanOut: (weight[0] ?? 1) * window,
    groups,
  };
}

/**
 * Weights as after training: every batch norm gets random gamma, beta, mean and variance, so that sign and order
 * mistakes cannot hide behind mean 0 and variance 1.
 */
export function randomStatistics(graph: CheckedGraph, weights: Weights, seed: number): Weights {
  const random = createRandom(seed);
  const draw: Readonly<Partial<Record<ParameterRole, () => number>>> = {
    gamma: () => 0.2 + 0.4 * random.uniform(),
    beta: () => 0.2 * random.normal(),
    mean: () => 0.2 * random.normal(),
    variance: () => 0.5 + random.uniform(),
    bias: () => 0.1 * random.normal(),
  };
  const result = new Map(weights);
  for (const { value, role } of graph.parameters) {
    const next = draw[role];
    const { name } = valueAt(graph, value);
    const old = weights.get(name);
    if (next && old) result.set(name, { shape: old.shape, data: old.data.map(() => next()) as Float32Array });
  }
  return result;
}
