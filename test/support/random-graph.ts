/** Random graphs of every op, for checks of whole engines. */
import { type ActivationName, activations } from '../../src/graph/activations.ts';
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts';
import { convGeometry } from '../../src/graph/geometry.ts';
import { type NetOpKind, type ValueId, valueAt } from '../../src/graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer, linearLayer } from '../../src/graph/layers.ts';
import type { Net } from '../../src/graph/net.ts';
import { createRandom, type Random } from '../../src/tensor/random.ts';
import { elementCount, type Shape, sameShape, type Tensor } from '../../src/tensor/tensor.ts';

interface State {
  readonly b: GraphBuilder;
  readonly random: Random;
  /** Every value so far. */
  readonly values: ValueId[];
  readonly name: string;
}

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[random.integer(from.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}

/** Another value of the same shape, often the same one. */
function alike({ b, random, values }: State, x: ValueId): ValueId {
  return pick(
    random,
    values.filter((value) => sameShape(b.shape(value), b.shape(x))),
  );
}

type Grow = (state: State, x: ValueId) => ValueId | undefined;

function geometryFor(random: Random, groups: number) {
  const kernel = pick(random, [1, 1, 2, 3, 5]);
  const dilation = pick(random, [1, 1, 2]);
  const padding = random.uniform() < 0.7 ? {} : { padding: random.integer(kernel) };
  return convGeometry({ kernel, stride: pick(random, [1, 1, 2]), dilation, groups, ...padding });
}

function pooled({ b, random, name }: State, x: ValueId): ValueId {
  const kernel = pick(random, [1, 2, 3]);
  const { groups: _, ...window } = convGeometry({
    kernel,
    stride: pick(random, [1, 2]),
    padding: random.integer(kernel),
  });
  const mode = pick(random, ['max', 'average'] as const);
  return b.node('pool2d', name, { mode, window, countPadding: random.uniform() < 0.5 }, [x]);
}

/** One way to go on from a value with each op; undefined where its rank does not fit. */
const growth: { readonly [K in NetOpKind]: Grow } = {
  conv2d: ({ b, random, name }, x) => {
    const channels = b.shape(x)[3];
    if (channels === undefined) return undefined;
    const groups = pick(random, [1, 1, channels]);
    const out = groups === 1 ? 1 + random.integer(40) : channels;
    return convLayer(b, name, x, out, geometryFor(random, groups), { bias: random.uniform() < 0.5 });
  },
  batchNorm: ({ b, name }, x) => batchNormLayer(b, name, x),
  sum: (state, x) => {
    const others = Array.from({ length: state.random.integer(9) }, () => alike(state, x));
    return state.b.node('sum', state.name, {}, [x, ...others]);
  },
  multiply: (state, x) => {
    const { b, name, random } = state;
    if (b.shape(x).length === 4 && random.uniform() < 0.5)
      return b.node('multiply', name, {}, [x, b.node('globalAveragePool', `${name}.gate`, {}, [x])]);
    return b.node('multiply', name, {}, [x, alike(state, x)]);
  },
  activation: ({ b, random, name }, x) =>
    activationLayer(b, name, x, pick(random, Object.keys(activations) as ActivationName[])),
  globalAveragePool: ({ b, name }, x) =>
    b.shape(x).length === 4 ? b.node('globalAveragePool', name, {}, [x]) : undefined,
  pool2d: (state, x) => (state.b.shape(x).length === 4 ? pooled(state, x) : undefined),
  flatten: ({ b, name }, x) =>
    elementCount(b.shape(x).slice(1)) < 600 ? b.node('flatten', name, {}, [x]) : undefined,
  linear: ({ b, random, name }, x) =>
    b.shape(x).length === 2 ? linearLayer(b, name, x, 1 + random.integer(40)) : undefined,
  softmax: ({ b, name }, x) => b.node('softmax', name, {}, [x]),
  resizeBilinear: ({ b, random, name }, x) => {
    if (b.shape(x).length !== 4) return undefined;
    const [height, width] = [1 + random.integer(9), 1 + random.integer(9)];
    return b.node('resizeBilinear', name, { height, width, alignCorners: random.uniform() < 0.5 }, [x]);
  },
  concat: (state, x) => {
    const { b, values, random, name } = state;
    const place = (value: ValueId): Shape => b.shape(value).slice(0, 3);
    const fitting = values.filter(
      (value) =>
        b.shape(value).length === 4 && sameShape(place(value), place(x)) && (b.shape(value)[3] ?? 0) < 60,
    );
    if (b.shape(x).length !== 4) return undefined;
    return b.node('concat', name, {}, [
      x,
      ...Array.from({ length: random.integer(3) }, () => pick(random, [x, ...fitting])),
    ]);
  },
};

const kinds = Object.keys(growth) as NetOpKind[];

export interface RandomNet extends Net {
  readonly inputs: Readonly<Record<string, Tensor>>;
}

function values(random: Random, shape: Shape, scale: number, least?: number): Tensor {
  const next = (): number => (least === undefined ? scale * random.normal() : least + random.uniform());
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, next) };
}

/** A graph of up to `size` nodes on one or two inputs, with several outputs. */
export function randomNet(seed: number, size: number): RandomNet {
  const random = createRandom(seed);
  const b = graphBuilder(`random ${seed}`);
  const batch = 1 + random.integer(3);
  const shape = [batch, 1 + random.integer(11), 1 + random.integer(11), 1 + random.integer(20)];
  const known: ValueId[] = [b.input('x', shape)];
  if (random.uniform() < 0.4) known.push(b.input('x2', shape));
  if (random.uniform() < 0.3) known.push(b.parameter('learned', shape, 'weight'));
  for (let i = 0; i < size; i++) {
    // Mostly the newest value, so that chains form; sometimes an older one, so that values stay alive.
    const x = known[random.uniform() < 0.6 ? known.length - 1 : random.integer(known.length)];
    if (x === undefined) continue;
    try {
      const y = growth[pick(random, kinds)]({ b, random, values: known, name: `n${i}` }, x);
      if (y !== undefined && elementCount(b.shape(y)) < 20_000) known.push(y);
    } catch {
      // The window did not fit.
    }
  }
  b.output('y', known.at(-1) ?? pick(random, known));
  if (random.uniform() < 0.5) b.output('z', pick(random, known));
  const graph = b.finish();
  const weights = new Map<string, Tensor>();
  for (const { value, role } of graph.parameters) {
    const { name, shape: dims } = valueAt(graph, value);
    const fanIn = elementCount(dims.slice(1));
    const spread = role === 'weight' && name !== 'learned' ? 1 / Math.sqrt(fanIn) : 0.5;
    weights.set(
      name,
      values(random, dims, spread, role === 'variance' || role === 'gamma' ? 0.5 : undefined),
    );
  }
  const inputs = Object.fromEntries(
    graph.inputs.map((id) => [valueAt(graph, id).name, values(random, valueAt(graph, id).shape, 1)]),
  );
  return { graph, weights, inputs };
}
