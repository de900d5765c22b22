import type { Engine, Precision } from '../../src/engine/engine.ts';
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts';
import {
  type CheckedGraph,
  type OpKind,
  type ParameterRole,
  type ValueId,
  valueAt,
} from '../../src/graph/graph.ts';
import { createRandom, type Random } from '../../src/tensor/random.ts';
import { elementCount, type Shape, type Tensor, type Weights } from '../../src/tensor/tensor.ts';

/** One op at one size: read by the reference check, the checks of other engines, gradient checks and benchmarks. */
export interface OpCase {
  /** Unique; op, attributes and sizes. */
  readonly name: string;
  readonly kind: OpKind;
  /** Defines inputs, parameters and exactly one node, and returns that node's output, or all of them. */
  readonly build: (b: GraphBuilder) => ValueId | readonly ValueId[];
  /** Terms summed into one output element, which decides how far two orders of summation may lie apart. */
  readonly reduction: number;
  /** Input values where the derivative jumps, or `ties` where it jumps when two inputs are equal. */
  readonly kinks: readonly number[] | 'ties';
  /** Makes what was drawn fit together, where that asks for more than shapes: a covariance is symmetric. */
  readonly fit?: (values: CaseValues) => CaseValues;
}

export const caseOutput = 'out';

export function caseGraph(c: OpCase): CheckedGraph {
  const b = graphBuilder(c.name);
  const built = c.build(b);
  const outputs = typeof built === 'number' ? [built] : built;
  outputs.forEach((value, i) => void b.output(i === 0 ? caseOutput : `${caseOutput}:${i}`, value));
  return b.finish();
}

export interface CaseValues {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly weights: Weights;
}

/** No input lies nearer to a kink, or to another input where ties are kinks, than this. */
export const kinkDistance = 1e-3;

const draws: { readonly [R in ParameterRole]: (random: Random) => number } = {
  weight: (random) => random.normal(),
  bias: (random) => random.normal(),
  gamma: (random) => 0.5 + random.uniform(),
  beta: (random) => random.normal(),
  mean: (random) => random.normal(),
  variance: (random) => 0.25 + random.uniform(),
  state: (random) => random.normal(),
};

/** Inputs and parameters by seed; every number is exact in f32, so that all precisions compute from the same. */
export function caseValues(c: OpCase, graph: CheckedGraph, seed = 1): CaseValues {
  const random = createRandom(seed);
  const inputs: Record<string, Tensor> = {};
  for (const id of graph.inputs) {
    const { name, shape } = valueAt(graph, id);
    inputs[name] = c.kinks === 'ties' ? distinct(shape, random) : awayFrom(c.kinks, shape, random);
  }
  const weights = new Map<string, Tensor>();
  for (const { value, role } of graph.parameters) {
    const { name, shape } = valueAt(graph, value);
    const data = Float32Array.from({ length: elementCount(shape) }, () => draws[role](random));
    weights.set(name, { shape, data });
  }
  return c.fit?.({ inputs, weights }) ?? { inputs, weights };
}

function awayFrom(kinks: readonly number[], shape: Shape, random: Random): Tensor {
  const next = (): number => {
    for (;;) {
      const value = Math.fround(2 * random.normal());
      if (kinks.every((kink) => Math.abs(value - kink) > kinkDistance)) return value;
    }
  };
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, next) };
}

/** Multiples of 2⁻⁸ in random order, around zero. */
function distinct(shape: Shape, random: Random): Tensor {
  const count = elementCount(shape);
  const data = Float32Array.from({ length: count }, (_, i) => (i - count / 2) / 256);
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [data[i], data[j]] = [data[j] ?? 0, data[i] ?? 0];
  }
  return { shape, data };
}

/** Compiles and runs a case on its values. @returns its first output */
export async function runCase(engine: Engine, c: OpCase, precision: Precision, seed = 1): Promise<Tensor> {
  return (await runWholeCase(engine, c, precision, seed))[0] ?? { shape: [], data: new Float64Array(0) };
}

/** The same, with all outputs in order. */
export async function runWholeCase(
  engine: Engine,
  c: OpCase,
  precision: Precision,
  seed = 1,
): Promise<readonly Tensor[]> {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph, seed);
  const session = await engine.compile(graph, weights, { precision });
  try {
    const results = await session.run(inputs);
    return graph.outputs.flatMap(({ name }) => results[name] ?? []);
  } finally {
    session.dispose();
  }
}

const epsilons: { readonly [P in Precision]: number } = {
  f32: 2 ** -23,
  f64: 2 ** -52,
  bf16: 2 ** -7,
  bf16x2: 2 ** -15,
};

/**
 * The largest |actual − expected| / (ε·√k·(|expected| + largest |expected|)) of any element, k the reduction:
 * a result is right when this is at most 1. NaN where one of them is NaN alone.
 */
export function caseError(c: OpCase, precision: Precision, actual: Tensor, expected: Tensor): number {
  let scale = 0;
  for (const value of expected.data) scale = Math.max(scale, Math.abs(value));
  const unit = epsilons[precision] * Math.sqrt(c.reduction);
  let worst = actual.data.length === expected.data.length ? 0 : Number.NaN;
  expected.data.forEach((value, i) => {
    const error = Math.abs((actual.data[i] ?? Number.NaN) - value);
    const relative = error === 0 ? 0 : error / (unit * (Math.abs(value) + scale));
    if (!(relative <= worst)) worst = relative;
  });
  return worst;
}
