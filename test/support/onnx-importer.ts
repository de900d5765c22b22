import type { ActivationName } from '../../src/graph/activations.ts';
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts';
import { convGeometry, type Padding, type Pair, windowOutputSize } from '../../src/graph/geometry.ts';
import type { ParameterRole, ValueId } from '../../src/graph/graph.ts';
import type { Net } from '../../src/graph/net.ts';
import { elementCount, type Shape, type Tensor } from '../../src/tensor/tensor.ts';
import { toChannelsFirst, toChannelsLast } from './layout.ts';
import type { OnnxArray, OnnxAttributeValue, OnnxFileNode } from './onnx-reader.ts';

/**
 * ONNX nodes as a graph of ours, for tests. An array of [N,C,…] becomes [N,H,W,C] when some node's meaning depends
 * on where channels are (one spatial axis is a row, three are two); otherwise arrays stay as they are.
 */

/** Why a model is outside our ops. */
export class NotCovered extends Error {}

export interface OnnxProgram {
  readonly opset: number;
  readonly nodes: readonly OnnxFileNode[];
  readonly initializers: Readonly<Record<string, OnnxArray>>;
  /** Values of the inputs; those that a node needs as parameters become such. */
  readonly inputs: Readonly<Record<string, OnnxArray>>;
  readonly outputs: readonly string[];
  /** Whether axis 1 of arrays is channels; default: iff some node's meaning depends on it. */
  readonly channels?: boolean;
}

export interface ImportedNet extends Net {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** An output of the graph in ONNX's order of elements. */
  readonly restore: (output: Tensor) => Tensor;
}

function refuse(reason: string): never {
  throw new NotCovered(reason);
}

/** [N,C,…] → [N,H,W,C], where one spatial axis is a row and of three the first two are one. */
function asMap({ dims, data }: OnnxArray): Tensor {
  const last = toChannelsLast({ shape: dims, data: Float32Array.from(data) });
  const [n = 1, channels = 1, ...spatial] = dims;
  const width = spatial.at(-1) ?? 1;
  return { shape: [n, elementCount(spatial) / width, width, channels], data: last.data };
}

/** What a rule may ask for. */
interface Site {
  readonly b: GraphBuilder;
  readonly opset: number;
  readonly name: string;
  readonly node: OnnxFileNode;
  readonly channelsLast: boolean;
  /** A computed value, or a model input viewed in `shape` (default: the layout of the model). */
  readonly activation: (index: number, shape?: (dims: Shape) => Shape) => ValueId;
  /** Known before running. */
  readonly constant: (index: number) => OnnxArray;
  readonly isGiven: (index: number) => boolean;
  readonly parameter: (word: string, role: ParameterRole, shape: Shape, data: ArrayLike<number>) => ValueId;
  readonly integers: (attribute: string) => readonly number[] | undefined;
  readonly number: (attribute: string, otherwise: number) => number;
  readonly text: (attribute: string, otherwise: string) => string;
  readonly define: (output: string, array: OnnxArray) => void;
}

/** A node's result; nothing when it was computed on import. */
type Rule = (site: Site) => ValueId | undefined;

/** One or two spatial axes as two: a 1-D window is a row. */
function pairOf(values: readonly number[] | undefined, otherwise: number): Pair {
  if (values === undefined) return [otherwise, otherwise];
  const [first = otherwise, second] = values;
  return second === undefined ? [otherwise, first] : [first, second];
}

function windowOf(site: Site, x: ValueId, kernelShape: readonly number[]) {
  if (kernelShape.length > 2) refuse('window over three axes');
  const row = kernelShape.length === 1;
  const kernel: Pair = row ? [1, kernelShape[0] ?? 1] : pairOf(kernelShape, 1);
  const stride = pairOf(site.integers('strides'), 1);
  const dilation = pairOf(site.integers('dilations'), 1);
  const pads = site.integers('pads') ?? [0, 0, 0, 0];
  const given: Padding =
    pads.length === 2
      ? [0, pads[0] ?? 0, 0, pads[1] ?? 0]
      : [pads[0] ?? 0, pads[1] ?? 0, pads[2] ?? 0, pads[3] ?? 0];
  const [, height = 0, width = 0] = site.b.shape(x);
  const same = (size: number, axis: 0 | 1): Pair => {
    const outputs = Math.ceil(size / stride[axis]);
    const reach = (outputs - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
    const total = Math.max(0, reach - size);
    const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
    return site.text('auto_pad', '') === 'SAME_LOWER' ? [more, less] : [less, more];
  };
  const [vertical, horizontal] = [same(height, 0), same(width, 1)];
  const auto = site.text('auto_pad', 'NOTSET').startsWith('SAME');
  const padding: Padding = auto ? [vertical[0], horizontal[0], vertical[1], horizontal[1]] : given;
  const geometry = convGeometry({
    kernel,
    stride: row ? [1, stride[1]] : stride,
    dilation: row ? [1, dilation[1]] : dilation,
    padding,
    groups: site.number('group', 1),
  });
  if (site.number('ceil_mode', 0) === 1 && !auto) {
    // Rounding up adds a window only when it begins before the end padding does.
    const [rows, columns] = windowOutputSize(geometry, height, width);
    const more = (count: number, size: number, axis: 0 | 1): boolean => {
      const [before = 0, after = 0] = [padding[axis], padding[axis + 2]];
      const reach = geometry.dilation[axis] * (kernel[axis] - 1) + 1;
      const up = Math.ceil((size + before + after - reach) / geometry.stride[axis]) + 1;
      return up > count && count * geometry.stride[axis] < size + before;
    };
    if (more(rows, height, 0) || more(columns, width, 1)) refuse('sizes rounded up');
  }
  return geometry;
}

const conv: Rule = (site) => {
  const x = site.activation(0);
  const { dims, data } = site.constant(1);
  const geometry = windowOf(site, x, dims.slice(2));
  const [out = 0, inner = 0] = dims;
  const inputs = [x, site.parameter('weight', 'weight', [out, inner, ...geometry.kernel], data)];
  if (site.isGiven(2)) inputs.push(site.parameter('bias', 'bias', [out], site.constant(2).data));
  return site.b.node('conv2d', site.name, { geometry }, inputs);
};

const pool =
  (mode: 'max' | 'average'): Rule =>
  (site) => {
    if (site.node.outputs.length > 1) refuse('positions of maxima');
    const x = site.activation(0);
    const { groups: _, ...window } = windowOf(site, x, site.integers('kernel_shape') ?? []);
    const countPadding = site.number('count_include_pad', 0) === 1;
    return site.b.node('pool2d', site.name, { mode, window, countPadding }, [x]);
  };

const batchNorm: Rule = (site) => {
  const roles = ['gamma', 'beta', 'mean', 'variance'] as const;
  const x = site.activation(0);
  const vectors = roles.map((role, i) =>
    site.parameter(role, role, site.constant(i + 1).dims, site.constant(i + 1).data),
  );
  return site.b.node('batchNorm', site.name, { eps: site.number('epsilon', 1e-5) }, [x, ...vectors]);
};

const activation =
  (fn: ActivationName, holds: (site: Site) => boolean = () => true): Rule =>
  (site) =>
    holds(site)
      ? site.b.node('activation', site.name, { fn }, [site.activation(0)])
      : refuse(`${site.node.op} with other constants than ${fn}`);

const near = (a: number | undefined, b: number): boolean => a !== undefined && Math.abs(a - b) < 1e-6;

const clip: Rule = (site) => {
  const bound = (attribute: string, index: number): number | undefined =>
    site.opset < 11
      ? site.number(attribute, Number.NaN)
      : site.isGiven(index)
        ? site.constant(index).data[0]
        : undefined;
  const [low, high] = [bound('min', 1), bound('max', 2)];
  if (near(low, -1) && high === undefined) return activation('shiftedRelu')(site);
  return activation('relu6', () => near(low, 0) && near(high, 6))(site);
};

const gemm: Rule = (site) => {
  if (site.number('transA', 0) === 1) refuse('transposed activations');
  const alpha = site.number('alpha', 1);
  const product = site.constant(1);
  const weight = site.number('transB', 0) === 1 ? product : transpose(product, [1, 0]);
  const inputs = [
    site.activation(0),
    site.parameter(
      'weight',
      'weight',
      weight.dims,
      weight.data.map((value) => alpha * value),
    ),
  ];
  if (site.isGiven(2)) {
    const { data } = site.constant(2);
    const outputs = weight.dims[0] ?? 0;
    if (data.length !== 1 && data.length !== outputs) refuse('bias that differs from row to row');
    const beta = site.number('beta', 1);
    const bias = Array.from({ length: outputs }, (_, i) => beta * (data[data.length === 1 ? 0 : i] ?? 0));
    inputs.push(site.parameter('bias', 'bias', [outputs], bias));
  }
  return site.b.node('linear', site.name, {}, inputs);
};

const matMul: Rule = (site) => {
  if (!site.isGiven(1)) refuse('product of two activations');
  const product = site.constant(1);
  const x = site.activation(0);
  if (product.dims.length !== 2 || site.b.shape(x).length !== 2) refuse('product of other than matrices');
  const weight = transpose(product, [1, 0]);
  return site.b.node('linear', site.name, {}, [
    x,
    site.parameter('weight', 'weight', weight.dims, weight.data),
  ]);
};

function transpose({ dtype, dims, data }: OnnxArray, perm: readonly number[]): OnnxArray {
  const [rows = 1, columns = 1] = dims;
  if (dims.length !== 2 || perm.join() !== '1,0') refuse('transposed tensors');
  return {
    dtype,
    dims: [columns, rows],
    data: data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0),
  };
}

const foldTranspose: Rule = (site) => {
  const [output = ''] = site.node.outputs;
  const source = site.constant(0);
  site.define(output, transpose(source, site.integers('perm') ?? source.dims.map((_, i) => i).reverse()));
  return undefined;
};

const equalOperands =
  (kind: 'sum' | 'multiply'): Rule =>
  (site) => {
    const operands = site.node.inputs.map((_, i) => site.activation(i));
    return site.b.node(kind, site.name, {}, operands);
  };

/** Concatenation along any axis is that of rows: [axes before, 1, 1, axes from there on]. */
const concat: Rule = (site) => {
  const axis = site.number('axis', 1);
  const rows = (dims: Shape): Shape => {
    const from = axis < 0 ? axis + dims.length : axis;
    return [elementCount(dims.slice(0, from)), 1, 1, elementCount(dims.slice(from))];
  };
  if (site.channelsLast && axis !== 1) refuse('concat along another axis than channels');
  const parts = site.node.inputs.map((_, i) => site.activation(i, site.channelsLast ? undefined : rows));
  return site.b.node('concat', site.name, {}, parts);
};

const softmax: Rule = (site) => {
  const x = site.activation(0);
  const rank = site.b.shape(x).length;
  const axis = site.number('axis', site.opset < 13 ? 1 : -1);
  const last = site.channelsLast && rank === 4 ? 1 : rank - 1;
  if ((axis + rank) % rank !== last) refuse('softmax along an inner axis');
  return site.b.node('softmax', site.name, {}, [x]);
};

const flatten: Rule = (site) => {
  const x = site.activation(0);
  const [, h = 1, w = 1, channels = 1] = site.b.shape(x);
  if (site.number('axis', 1) !== 1) refuse('flatten from another axis than the first');
  if (site.channelsLast && h * w > 1 && channels > 1) refuse('flatten of several positions and channels');
  return site.b.node('flatten', site.name, {}, [x]);
};

const resize: Rule = (site) => {
  const mode = site.text('mode', 'nearest');
  if (mode !== 'linear') refuse(`resize that is ${mode}`);
  if (site.number('antialias', 0) === 1) refuse('resize with antialiasing');
  const where = site.text('coordinate_transformation_mode', 'half_pixel');
  if (where !== 'half_pixel' && where !== 'align_corners') refuse(`resize at ${where}`);
  const x = site.activation(0);
  const [, h = 1, w = 1] = site.b.shape(x);
  const bySize = site.isGiven(3);
  const given = site.constant(bySize ? 3 : 2).data.slice(-2);
  const [height = 1, width = 1] = given.map((value, i) => (bySize ? value : Math.floor(value * (i ? w : h))));
  if (!bySize && (!near(given[0], height / h) || !near(given[1], width / w)))
    refuse('resize by a scale that is not a ratio of sizes');
  const alignCorners = where === 'align_corners';
  return site.b.node('resizeBilinear', site.name, { height, width, alignCorners }, [x]);
};

const isHardSigmoid = (site: Site): boolean =>
  near(site.number('alpha', 0.2), 1 / 6) && near(site.number('beta', 0.5), 0.5);

/** Ops whose meaning depends on which axis holds channels. */
const spatial: Readonly<Record<string, Rule>> = {
  Conv: conv,
  BatchNormalization: batchNorm,
  GlobalAveragePool: (site) => site.b.node('globalAveragePool', site.name, {}, [site.activation(0)]),
  MaxPool: pool('max'),
  AveragePool: pool('average'),
  Resize: resize,
};

const layoutFree: Readonly<Record<string, Rule>> = {
  Relu: activation('relu'),
  Clip: clip,
  Sigmoid: activation('sigmoid'),
  HardSigmoid: activation('hardSigmoid', isHardSigmoid),
  HardSwish: activation('hardSwish'),
  Swish: activation('silu', (site) => near(site.number('alpha', 1), 1)),
  Gemm: gemm,
  MatMul: matMul,
  Transpose: foldTranspose,
  Flatten: flatten,
  Add: equalOperands('sum'),
  Sum: equalOperands('sum'),
  Mul: equalOperands('multiply'),
  Softmax: softmax,
  Concat: concat,
};

/** ONNX operators that some graph of ours can stand for. */
const importedOps: readonly string[] = [...Object.keys(spatial), ...Object.keys(layoutFree)];

/** @throws NotCovered */
export function importOnnx(program: OnnxProgram): ImportedNet {
  const { nodes, opset } = program;
  for (const { op } of nodes) if (!importedOps.includes(op)) refuse('no op of ours');
  const everything = { ...program.initializers, ...program.inputs };
  if (Object.values(everything).some(({ dtype }) => dtype !== 'float32' && dtype !== 'int64'))
    refuse('other numbers than float32');
  const last = program.channels ?? nodes.some(({ op }) => op in spatial);
  const b = graphBuilder('imported');
  const constants = new Map(Object.entries(everything));
  const values = new Map<string, ValueId>();
  const inputs: Record<string, Tensor> = {};
  const weights = new Map<string, Tensor>();
  const activationNamed = (name: string, view?: (dims: Shape) => Shape): ValueId => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const array = constants.get(name) ?? refuse('inputs left out');
    const plain = { shape: view ? view(array.dims) : array.dims, data: Float32Array.from(array.data) };
    const tensor = last && array.dims.length > 2 ? asMap(array) : plain;
    inputs[name] = tensor;
    const id = b.input(name, tensor.shape);
    values.set(name, id);
    return id;
  };
  nodes.forEach((node, index) => {
    const name = `${node.op}.${index}`;
    const site: Site = {
      b,
      opset,
      name,
      node,
      channelsLast: last,
      activation: (i, view) => activationNamed(node.inputs[i] ?? '', view),
      constant: (i) => constants.get(node.inputs[i] ?? '') ?? refuse('parameters that are computed'),
      isGiven: (i) => constants.has(node.inputs[i] ?? ''),
      parameter: (word, role, shape, data) => {
        weights.set(`${name}.${word}`, { shape, data: Float32Array.from(data) });
        return b.parameter(`${name}.${word}`, shape, role);
      },
      integers: (attribute) => listOf(node.attributes[attribute]),
      number: (attribute, otherwise) => {
        const value = node.attributes[attribute];
        return typeof value === 'number' ? value : otherwise;
      },
      text: (attribute, otherwise) => {
        const value = node.attributes[attribute];
        return typeof value === 'string' ? value : otherwise;
      },
      define: (output, array) => {
        constants.set(output, array);
      },
    };
    const result = ruleOf(node.op)(site);
    const [output] = node.outputs;
    if (result !== undefined && output !== undefined) values.set(output, result);
  });
  for (const name of program.outputs) b.output(name, values.get(name) ?? refuse('nothing left to run'));
  return {
    graph: b.finish(),
    weights,
    inputs,
    restore: (output) => (last ? toChannelsFirst(output) : output),
  };
}

function ruleOf(op: string): Rule {
  return spatial[op] ?? layoutFree[op] ?? refuse('no op of ours');
}

function listOf(value: OnnxAttributeValue | undefined): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((each): each is number => typeof each === 'number');
}
