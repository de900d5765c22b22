import { GraphError } from '../../errors.ts';
import type { ActivationName } from '../../graph/activations.ts';
import type { WindowGeometry } from '../../graph/geometry.ts';
import type { NetOpKind, Node } from '../../graph/graph.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import { dataTypes, type OnnxNode, type OnnxTensor, onnxAttributes } from './schema.ts';

/** What a rule is given: the names its node's values bear in the file, and a way to make more of them. */
export interface OperatorSite {
  readonly inputs: readonly string[];
  readonly output: string;
  /** Shape of the first input, channels last as in our graph. */
  readonly shape: Shape;
  /** A name that nothing else bears, made from the node's and this word. */
  readonly fresh: (word: string) => string;
}

export interface Operators {
  readonly nodes: readonly OnnxNode[];
  readonly constants?: readonly OnnxTensor[];
  /** The opset that first has the operators as written here, where that is above `baseOpset`. */
  readonly opset?: number;
}

/**
 * Opset 17 with IR version 8 (ONNX 1.12) is the oldest pair that has every operator of a MobileOne net as written
 * here, and every runtime since 2022 reads it. A row that needs a newer opset raises it for its file alone.
 */
export const baseOpset = 17;
/** ONNX 1.14 introduced IR version 9 together with opset 19. */
export const irVersionOf = (opset: number): number => (opset >= 19 ? 9 : 8);

export interface OperatorRule<K extends NetOpKind> {
  /** How many leading inputs are activations; those after them are parameters, whose layout is the op's own. */
  readonly activations: number;
  /** Activations are channels-first in the file: [N,C,…] wherever our graph has [N,…,C]. */
  readonly write: (node: Node<K>, site: OperatorSite) => Operators;
}

type Attributes = Parameters<typeof onnxAttributes>[0];

export function onnxNode(
  opType: string,
  name: string,
  input: readonly string[],
  output: string,
  attributes: Attributes = {},
): OnnxNode {
  return { name, opType, input, output: [output], attribute: onnxAttributes(attributes) };
}

export function floatTensor(name: string, dims: Shape, values: ArrayLike<number>): OnnxTensor {
  const rawData = new Uint8Array(values.length * 4);
  const view = new DataView(rawData.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i] ?? 0, true);
  return { name, dims, dataType: dataTypes.float, rawData };
}

export function int64Tensor(name: string, values: readonly number[]): OnnxTensor {
  const rawData = new Uint8Array(values.length * 8);
  const view = new DataView(rawData.buffer);
  for (const [i, value] of values.entries()) view.setBigInt64(8 * i, BigInt(value), true);
  return { name, dims: [values.length], dataType: dataTypes.int64, rawData };
}

/** One operator that reads all inputs of the node. */
function single(opType: string, attributes?: Attributes): (node: Node, site: OperatorSite) => Operators {
  return (node, site) => ({ nodes: [onnxNode(opType, node.name, site.inputs, site.output, attributes)] });
}

function windowAttributes({ kernel, stride, padding }: WindowGeometry): Attributes {
  return { kernel_shape: kernel, strides: stride, pads: padding };
}

type ActivationRule = (node: Node, site: OperatorSite) => Operators;

const activationRules: { readonly [F in ActivationName]: ActivationRule } = {
  relu: single('Relu'),
  shiftedRelu: (node, site) => {
    const low = site.fresh('low');
    return {
      nodes: [onnxNode('Clip', node.name, [...site.inputs, low], site.output)],
      constants: [floatTensor(low, [], [-1])],
    };
  },
  relu6: (node, site) => {
    const [low, high] = [site.fresh('low'), site.fresh('high')];
    return {
      nodes: [onnxNode('Clip', node.name, [...site.inputs, low, high], site.output)],
      constants: [floatTensor(low, [], [0]), floatTensor(high, [], [6])],
    };
  },
  sigmoid: single('Sigmoid'),
  hardSigmoid: single('HardSigmoid', { alpha: { f: 1 / 6 }, beta: { f: 0.5 } }),
  hardSwish: single('HardSwish'),
  silu: (node, site) => {
    const gate = site.fresh('sigmoid');
    return {
      nodes: [
        onnxNode('Sigmoid', gate, site.inputs, gate),
        onnxNode('Mul', node.name, [...site.inputs, gate], site.output),
      ],
    };
  },
};

function writePool({ name, attrs }: Node<'pool2d'>, site: OperatorSite): Operators {
  const { mode, window, countPadding } = attrs;
  const [top, left, bottom, right] = window.padding;
  if (Math.max(top, bottom) >= window.kernel[0] || Math.max(left, right) >= window.kernel[1])
    throw new GraphError(
      `onnx: pool2d "${name}": padding [${window.padding.join(',')}] must be less than the ${window.kernel.join('×')} kernel, which runtimes demand also of dilated windows.`,
    );
  const dilations = window.dilation;
  const attributes = windowAttributes(window);
  if (mode === 'max')
    return { nodes: [onnxNode('MaxPool', name, site.inputs, site.output, { ...attributes, dilations })] };
  const counted = { ...attributes, count_include_pad: countPadding ? 1 : 0 };
  if (dilations[0] === 1 && dilations[1] === 1)
    return { nodes: [onnxNode('AveragePool', name, site.inputs, site.output, counted)] };
  return {
    nodes: [onnxNode('AveragePool', name, site.inputs, site.output, { ...counted, dilations })],
    opset: 19,
  };
}

/** Channels-first order differs from ours once there are several positions and several channels. */
function writeFlatten(node: Node<'flatten'>, site: OperatorSite): Operators {
  const channels = site.shape.length > 2 ? (site.shape.at(-1) ?? 1) : 1;
  const positions = elementCount(site.shape.slice(1)) / channels;
  const flatten = (from: readonly string[]): OnnxNode =>
    onnxNode('Flatten', node.name, from, site.output, { axis: 1 });
  if (channels === 1 || positions === 1) return { nodes: [flatten(site.inputs)] };
  const last = site.fresh('channelsLast');
  const perm = [0, ...site.shape.slice(2).map((_, i) => i + 2), 1];
  return { nodes: [onnxNode('Transpose', last, site.inputs, last, { perm }), flatten([last])] };
}

/** Sizes with `axes`, which leave the batch free and are exact where scales would be rounded, came with opset 18. */
function writeResize({ name, attrs }: Node<'resizeBilinear'>, site: OperatorSite): Operators {
  const sizes = site.fresh('size');
  return {
    nodes: [
      onnxNode('Resize', name, [...site.inputs, '', '', sizes], site.output, {
        mode: 'linear',
        coordinate_transformation_mode: attrs.alignCorners ? 'align_corners' : 'half_pixel',
        axes: [2, 3],
      }),
    ],
    constants: [int64Tensor(sizes, [attrs.height, attrs.width])],
    opset: 18,
  };
}

const all = Number.POSITIVE_INFINITY;

const operatorRules: { readonly [K in NetOpKind]: OperatorRule<K> } = {
  conv2d: {
    activations: 1,
    write: (node, site) => {
      const { geometry } = node.attrs;
      const attributes = {
        ...windowAttributes(geometry),
        dilations: geometry.dilation,
        group: geometry.groups,
      };
      return { nodes: [onnxNode('Conv', node.name, site.inputs, site.output, attributes)] };
    },
  },
  batchNorm: {
    activations: 1,
    write: (node, site) => single('BatchNormalization', { epsilon: { f: node.attrs.eps } })(node, site),
  },
  sum: {
    activations: all,
    write: (node, site) => single(site.inputs.length === 2 ? 'Add' : 'Sum')(node, site),
  },
  multiply: { activations: all, write: single('Mul') },
  activation: { activations: 1, write: (node, site) => activationRules[node.attrs.fn](node, site) },
  globalAveragePool: { activations: 1, write: single('GlobalAveragePool') },
  pool2d: { activations: 1, write: writePool },
  flatten: { activations: 1, write: writeFlatten },
  linear: { activations: 1, write: single('Gemm', { transB: 1 }) },
  softmax: { activations: 1, write: single('Softmax', { axis: 1 }) },
  resizeBilinear: { activations: 1, write: writeResize },
  concat: { activations: all, write: single('Concat', { axis: 1 }) },
};

export function operatorRule<K extends NetOpKind>(kind: K): OperatorRule<K> {
  const rule: OperatorRule<K> = operatorRules[kind];
  return rule;
}
