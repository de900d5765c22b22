import { encodeOnnx } from '../../src/format/onnx/encode-onnx.ts';
import { baseOpset, irVersionOf, onnxNode, operatorRule } from '../../src/format/onnx/operators.ts';
import {
  dataTypes,
  encodeModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from '../../src/format/onnx/schema.ts';
import { checkGraph } from '../../src/graph/check.ts';
import {
  type CheckedGraph,
  type NetOpKind,
  type Node,
  type ValueId,
  valueAt,
} from '../../src/graph/graph.ts';
import type { Net } from '../../src/graph/net.ts';
import { isNetNode } from '../../src/graph/node-rules.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

const types = { ...dataTypes, uint8: 2, int8: 3, int32: 6 } as const;

/** Smallest and largest number seen in a value, by value id. */
export type Ranges = ReadonlyMap<ValueId, readonly [number, number]>;

const tapName = (id: ValueId): string => `tap ${id}`;

/** Activations that some node reads in eight bits: all but what a fused or exact op reads. */
function quantizedValues({ graph }: Net): readonly ValueId[] {
  const parameters = new Set(graph.parameters.map(({ value }) => value));
  const read = graph.nodes.flatMap((node) => (readsFloats(node) ? [] : node.inputs));
  return [...new Set(read)].filter((id) => !parameters.has(id));
}

/** The net in f32 with every value that will be quantized as an output, to be run for `Ranges`. */
export function encodeCalibration(net: Net): {
  readonly file: Uint8Array;
  readonly names: ReadonlyMap<string, ValueId>;
} {
  const inputs = new Set(net.graph.inputs);
  const values = quantizedValues(net).filter((id) => !inputs.has(id));
  const outputs = values.map((value) => ({ name: tapName(value), value }));
  const graph = checkGraph({ ...net.graph, outputs });
  return {
    file: encodeOnnx({ graph, weights: net.weights }),
    names: new Map(values.map((id) => [tapName(id), id])),
  };
}

/** Ops that follow a convolution into its own kernel, or that move numbers only. */
function readsFloats(node: Node): boolean {
  return node.kind === 'flatten' || (node.kind === 'activation' && node.attrs.fn === 'relu');
}

interface Draft {
  readonly graph: CheckedGraph;
  readonly weights: Net['weights'];
  readonly ranges: Ranges;
  readonly nodes: OnnxNode[];
  readonly constants: OnnxTensor[];
  readonly scales: Map<ValueId, number>;
  readonly dequantized: Map<ValueId, string>;
}

function constant(draft: Draft, name: string, dataType: number, dims: Shape, data: ArrayBufferView): string {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  draft.constants.push({ name, dims, dataType, rawData });
  return name;
}

/** uint8 for the whole value, with a zero point so that 0 is exact. */
function quantizeActivation(draft: Draft, id: ValueId, name: string): string {
  const known = draft.dequantized.get(id);
  if (known !== undefined) return known;
  const [low, high] = draft.ranges.get(id) ?? [0, 0];
  const [from, to] = [Math.min(0, low), Math.max(0, high)];
  const scale = (to - from) / 255 || 1;
  draft.scales.set(id, scale);
  const operands = [
    constant(draft, `${name}/scale`, types.float, [], Float32Array.of(scale)),
    constant(draft, `${name}/zero`, types.uint8, [], Uint8Array.of(Math.round(-from / scale))),
  ];
  const [quantized, result] = [`${name}/quantized`, `${name}/dequantized`];
  draft.nodes.push(
    onnxNode('QuantizeLinear', quantized, [name, ...operands], quantized),
    onnxNode('DequantizeLinear', result, [quantized, ...operands], result),
  );
  draft.dequantized.set(id, result);
  return result;
}

/** int8 with one scale for each output channel; the bias is int32 with scale input × weight. */
function quantizeWeights(
  draft: Draft,
  name: string,
  weight: Tensor,
  bias: Tensor,
  inputScale: number,
): readonly string[] {
  const channels = weight.shape[0] ?? 0;
  const size = weight.data.length / channels;
  const values = Float32Array.from(weight.data);
  const [weights, scales] = [new Int8Array(weight.data.length), new Float32Array(channels)];
  const [biases, biasScales] = [new Int32Array(channels), new Float32Array(channels)];
  for (let o = 0; o < channels; o++) {
    const row = values.subarray(o * size, (o + 1) * size);
    const scale = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127 || 1;
    row.forEach((value, i) => {
      weights[o * size + i] = Math.round(value / scale);
    });
    scales[o] = scale;
    biasScales[o] = scale * inputScale;
    biases[o] = Math.round((bias.data[o] ?? 0) / (scale * inputScale));
  }
  const dequantize = (word: string, dims: Shape, data: Int8Array | Int32Array, by: Float32Array): string => {
    const type = data instanceof Int8Array ? types.int8 : types.int32;
    const zero = data instanceof Int8Array ? new Int8Array(channels) : new Int32Array(channels);
    const result = `${name}/${word}`;
    const operands = [
      constant(draft, `${result}/quantized`, type, dims, data),
      constant(draft, `${result}/scale`, types.float, [channels], by),
      constant(draft, `${result}/zero`, type, [channels], zero),
    ];
    draft.nodes.push(onnxNode('DequantizeLinear', result, operands, result, { axis: 0 }));
    return result;
  };
  return [
    dequantize('weight', weight.shape, weights, scales),
    dequantize('bias', [channels], biases, biasScales),
  ];
}

/**
 * The net as a static QDQ file, the form onnxruntime turns into integer kernels: activations uint8 a tensor,
 * weights int8 an output channel, biases int32.
 * @param ranges of `quantizedValues`, from running the calibration file
 */
export function encodeQuantized(net: Net, ranges: Ranges): Uint8Array {
  const { graph } = net;
  const draft: Draft = {
    ...net,
    ranges,
    nodes: [],
    constants: [],
    scales: new Map(),
    dequantized: new Map(),
  };
  const outputs = new Map(graph.outputs.map(({ name, value }) => [value, name]));
  const nameOf = (id: ValueId): string =>
    graph.inputs.includes(id) ? 'input' : (outputs.get(id) ?? valueAt(graph, id).name);
  for (const node of graph.nodes.filter(isNetNode)) addNode(draft, node, readsFloats(node), nameOf);
  const info = (id: ValueId): OnnxValueInfo => {
    const { shape } = valueAt(graph, id);
    const dims = shape.length < 3 ? shape : [...shape.slice(0, 1), ...shape.slice(-1), ...shape.slice(1, -1)];
    const dim = dims.map((size, i) => (i === 0 ? { dimParam: 'batch' } : { dimValue: size }));
    return { name: nameOf(id), type: { tensorType: { elemType: types.float, shape: { dim } } } };
  };
  return encodeModel({
    irVersion: irVersionOf(baseOpset),
    opsetImport: [{ domain: '', version: baseOpset }],
    producerName: 'mobileone bench',
    graph: {
      name: graph.name,
      input: graph.inputs.map(info),
      output: graph.outputs.map(({ value }) => info(value)),
      initializer: draft.constants,
      node: draft.nodes,
    },
    metadataProps: [],
  });
}

function addNode<K extends NetOpKind>(
  draft: Draft,
  node: Node<K>,
  floats: boolean,
  nameOf: (id: ValueId) => string,
): void {
  const { graph, weights } = draft;
  const rule = operatorRule<K>(node.kind);
  const activations = node.inputs.slice(0, rule.activations);
  const [x] = activations;
  const inputs = activations.map((id) => (floats ? nameOf(id) : quantizeActivation(draft, id, nameOf(id))));
  const [weight, bias] = node.inputs
    .slice(rule.activations)
    .map((id) => weights.get(valueAt(graph, id).name));
  if (weight && bias && x !== undefined)
    inputs.push(...quantizeWeights(draft, node.name, weight, bias, draft.scales.get(x) ?? 1));
  const { nodes, constants } = rule.write(node, {
    inputs,
    output: node.outputs[0] === undefined ? '' : nameOf(node.outputs[0]),
    shape: x === undefined ? [] : valueAt(graph, x).shape,
    fresh: (word) => `${node.name}/${word}`,
  });
  draft.nodes.push(...nodes);
  draft.constants.push(...(constants ?? []));
}
