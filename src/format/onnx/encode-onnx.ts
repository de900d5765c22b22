import { GraphError, UsageError, WeightsError } from '../../errors.ts';
import { graphCost } from '../../graph/cost.ts';
import { type CheckedGraph, type NetOpKind, type Node, type ValueId, valueAt } from '../../graph/graph.ts';
import type { Net } from '../../graph/net.ts';
import { isNetNode } from '../../graph/node-rules.ts';
import { elementCount, formatShape, type Shape, sameShape } from '../../tensor/tensor.ts';
import { decodingTail, type OnnxDecoding } from './decoding.ts';
import { baseOpset, floatTensor, irVersionOf, onnxNode, operatorRule } from './operators.ts';
import { dataTypes, encodeModel, type OnnxNode, type OnnxTensor, type OnnxValueInfo } from './schema.ts';

/**
 * What the file's input holds. `external`: the caller subtracts mean and divides by std, as the net was trained.
 * `included`: RGB (or whatever the channels are) from 0 to `range`; the file itself begins with
 * (x / range − mean) / std, before the first convolution pads with zeros, so the numbers are those of the
 * external form. `mean` and `std` are on the 0–1 scale, one number a channel.
 */
export interface OnnxNormalization {
  readonly kind: 'external' | 'included';
  readonly range: 1 | 255;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface OnnxOptions {
  /** Name of a single input in the file, default `input`. The inputs of a graph with several keep their names. */
  readonly inputName?: string;
  readonly normalization?: OnnxNormalization;
  /** Class names in the order of the logits. */
  readonly labels?: readonly string[];
  /** The eval transform as JSON text. */
  readonly transform?: string;
  /** More metadata: family, variant, licence, … */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly producerVersion?: string;
  /** Takes the place of the graph's own outputs. */
  readonly decoding?: OnnxDecoding;
}

/** Protobuf messages end at 2³¹ − 1 bytes. */
const mostBytes = 2 ** 31 - 1;
/** Generous allowance for a node's names and attributes. */
const bytesPerNode = 4096;

/**
 * A net as an ONNX file: f32, batch size free (the symbol `batch`), activations channels-first ([N,C,H,W] where
 * our graph has [N,H,W,C]), outputs under the graph's own output names. The opset is `baseOpset` unless an op
 * needs a later one. metadata_props hold `labels` and `normalization` as JSON, `transform`, `parameters`
 * (learned ones), and what `options.metadata` adds.
 * @throws GraphError when the graph is more than 2 GB or uses values in a way that has no channels-first form;
 *   WeightsError naming all parameters that are missing or misshapen; UsageError for options that do not fit
 */
export function encodeOnnx(net: Net, options: OnnxOptions = {}): Uint8Array {
  const { graph } = net;
  checkSize(graph);
  checkEnds(graph);
  checkWeights(net);
  const names = fileNames(graph, options);
  const front = normalizationFront(graph, names, options.normalization);
  const body = graph.nodes.map((node) => {
    if (isNetNode(node)) return operatorsOf(graph, node, names);
    throw new GraphError(
      `onnx: ${node.kind} "${node.name}" belongs to training; export the net's own graph, not a training step.`,
      { node: node.name },
    );
  });
  const tail = graph.outputs
    .filter(({ name, value }) => names.value(value) !== name)
    .map(({ name, value }) => onnxNode('Identity', names.fresh(`${name}/copy`), [names.value(value)], name));
  const decoded = options.decoding && decodingTail(options.decoding, names.fresh);
  const opset = Math.max(baseOpset, decoded?.opset ?? 0, ...body.map((operators) => operators.opset ?? 0));
  const info = (name: string, shape: Shape): OnnxValueInfo => {
    const dim = channelsFirst(shape).map((size, i) => (i === 0 ? { dimParam: 'batch' } : { dimValue: size }));
    return { name, type: { tensorType: { elemType: dataTypes.float, shape: { dim } } } };
  };
  return encodeModel({
    irVersion: irVersionOf(opset),
    opsetImport: [{ domain: '', version: opset }],
    producerName: 'mobileone',
    ...(options.producerVersion === undefined ? {} : { producerVersion: options.producerVersion }),
    graph: {
      name: graph.name,
      input: graph.inputs.map((id) => info(names.input(id), valueAt(graph, id).shape)),
      output:
        decoded?.outputs ?? graph.outputs.map(({ name, value }) => info(name, valueAt(graph, value).shape)),
      initializer: [
        ...front.constants,
        ...usedParameters(net, names),
        ...body.flatMap((operators) => operators.constants ?? []),
        ...(decoded?.constants ?? []),
      ],
      node: [
        ...front.nodes,
        ...body.flatMap((operators) => operators.nodes),
        ...tail,
        ...(decoded?.nodes ?? []),
      ],
    },
    metadataProps: metadata(graph, options),
  });
}

function channelsFirst(shape: Shape): Shape {
  return shape.length < 3 ? shape : [...shape.slice(0, 1), ...shape.slice(-1), ...shape.slice(1, -1)];
}

function checkSize(graph: CheckedGraph): void {
  const elements = graph.parameters.reduce(
    (sum, { value }) => sum + elementCount(valueAt(graph, value).shape),
    0,
  );
  const bytes = 4 * elements + bytesPerNode * graph.nodes.length;
  if (bytes > mostBytes)
    throw new GraphError(
      `onnx: graph "${graph.name}" needs ${bytes} bytes, but one ONNX file holds at most ${mostBytes}; write safetensors instead.`,
      { bytes, mostBytes },
    );
}

/** The batch must be the first axis of every input and output, and of one size. */
function checkEnds(graph: CheckedGraph): void {
  const parameters = new Set(graph.parameters.map(({ value }) => value));
  for (const { name, value } of graph.outputs)
    if (parameters.has(value))
      throw new GraphError(`onnx: output "${name}" must be computed from the inputs, but it is a parameter.`);
  const ends = [...graph.inputs, ...graph.outputs.map(({ value }) => value)].map((id) => valueAt(graph, id));
  const batch = ends[0]?.shape[0];
  for (const { name, shape } of ends)
    if (shape.length < 2 || shape[0] !== batch)
      throw new GraphError(
        `onnx: "${name}" must have the batch of ${batch} as its first axis and channels as another, found ${formatShape(shape)}.`,
      );
}

function checkWeights({ graph, weights }: Net): void {
  const faults = graph.parameters.flatMap(({ value }) => {
    const { name, shape } = valueAt(graph, value);
    const found = weights.get(name);
    if (found === undefined) return [`"${name}" ${formatShape(shape)} is missing`];
    return sameShape(found.shape, shape)
      ? []
      : [`"${name}" must be ${formatShape(shape)}, found ${formatShape(found.shape)}`];
  });
  if (faults.length > 0)
    throw new WeightsError(`onnx: weights for graph "${graph.name}": ${faults.join('; ')}.`, { faults });
}

/** The name of every value in the file, where each must be made once and outputs must bear the given names. */
interface FileNames {
  /** The name under which nodes read it. */
  readonly value: (id: ValueId) => string;
  /** The name under which the file takes it; differs from `value` when a normalization stands between. */
  readonly input: (id: ValueId) => string;
  readonly rename: (id: ValueId, name: string) => void;
  readonly fresh: (wish: string) => string;
}

function fileNames(graph: CheckedGraph, options: OnnxOptions): FileNames {
  if (options.inputName !== undefined && graph.inputs.length !== 1)
    throw new UsageError(
      `onnx: inputName needs a graph of one input, but "${graph.name}" has ${graph.inputs.length}.`,
    );
  const inputs = new Map<ValueId, string>();
  for (const id of graph.inputs)
    inputs.set(id, graph.inputs.length === 1 ? (options.inputName ?? 'input') : valueAt(graph, id).name);
  const taken = new Set(inputs.values());
  for (const { name } of graph.outputs) {
    if (taken.has(name))
      throw new UsageError(`onnx: "${name}" would be an input and an output; choose another inputName.`);
    taken.add(name);
  }
  const fresh = (wish: string): string => {
    let name = wish;
    for (let i = 2; taken.has(name); i++) name = `${wish}/${i}`;
    taken.add(name);
    return name;
  };
  const names = new Map<ValueId, string>(inputs);
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  for (const { name, value } of graph.outputs)
    if (made.has(value) && !names.has(value)) names.set(value, name);
  graph.values.forEach((value, index) => {
    const id = index as ValueId;
    if (!names.has(id)) names.set(id, fresh(value.name));
  });
  return {
    value: (id) => names.get(id) ?? '',
    input: (id) => inputs.get(id) ?? '',
    rename: (id, name) => {
      names.set(id, name);
    },
    fresh,
  };
}

/** x / range, − mean, / std as three operators, the order and rounding of the usual pipelines. */
function normalizationFront(
  graph: CheckedGraph,
  names: FileNames,
  normalization: OnnxNormalization | undefined,
): { readonly nodes: readonly OnnxNode[]; readonly constants: readonly OnnxTensor[] } {
  if (normalization === undefined) return { nodes: [], constants: [] };
  const { kind, range, mean, std } = normalization;
  const [id, ...more] = graph.inputs;
  const shape = id === undefined ? [] : valueAt(graph, id).shape;
  const channels = shape[3];
  if (id === undefined || more.length > 0 || shape.length !== 4 || channels === undefined)
    throw new UsageError(
      `onnx: normalization needs a graph with one [N,H,W,C] input, but "${graph.name}" has ${graph.inputs.length} of shapes ${graph.inputs.map((input) => formatShape(valueAt(graph, input).shape)).join(', ')}.`,
    );
  if (mean.length !== channels || std.length !== channels || !std.every((value) => value > 0))
    throw new UsageError(
      `onnx: normalization needs ${channels} means and ${channels} positive stds, found [${mean.join(',')}] and [${std.join(',')}].`,
    );
  if (kind === 'external') return { nodes: [], constants: [] };
  const steps = [
    ...(range === 1 ? [] : [{ op: 'Div', word: 'range', dims: [], values: [range] }]),
    { op: 'Sub', word: 'mean', dims: [1, channels, 1, 1], values: mean },
    { op: 'Div', word: 'std', dims: [1, channels, 1, 1], values: std },
  ];
  const nodes: OnnxNode[] = [];
  const constants: OnnxTensor[] = [];
  for (const { op, word, dims, values } of steps) {
    const constant = names.fresh(`normalization/${word}`);
    const result = names.fresh(`normalization/${word}/${op.toLowerCase()}`);
    constants.push(floatTensor(constant, dims, values));
    nodes.push(onnxNode(op, result, [names.value(id), constant], result));
    names.rename(id, result);
  }
  return { nodes, constants };
}

function operatorsOf<K extends NetOpKind>(graph: CheckedGraph, node: Node<K>, names: FileNames) {
  const rule = operatorRule<K>(node.kind);
  checkOperands(graph, node, rule.activations);
  return rule.write(node, {
    inputs: node.inputs.map(names.value),
    output: node.outputs[0] === undefined ? '' : names.value(node.outputs[0]),
    shape: node.inputs[0] === undefined ? [] : valueAt(graph, node.inputs[0]).shape,
    fresh: (word) => names.fresh(`${node.name}/${word}`),
  });
}

/** Activations turn channels-first, parameters do not: a value must not be one where the other is expected. */
function checkOperands(
  graph: CheckedGraph,
  node: Pick<Node, 'kind' | 'name' | 'inputs'>,
  activations: number,
): void {
  const parameters = new Set(graph.parameters.map(({ value }) => value));
  node.inputs.forEach((id, index) => {
    const { name, shape } = valueAt(graph, id);
    if (index < activations === parameters.has(id))
      throw new GraphError(
        `onnx: ${node.kind} "${node.name}": input ${index} ("${name}") must be ${index < activations ? 'computed from the inputs of the graph' : 'a parameter'} to be written channels-first.`,
      );
    if (index < activations && shape.length < 2)
      throw new GraphError(
        `onnx: ${node.kind} "${node.name}": input "${name}" must have a batch axis and a channel axis, found ${formatShape(shape)}.`,
      );
  });
}

function usedParameters({ graph, weights }: Net, names: FileNames): readonly OnnxTensor[] {
  const used = new Set([
    ...graph.nodes.flatMap((node) => node.inputs),
    ...graph.outputs.map(({ value }) => value),
  ]);
  return graph.parameters.flatMap(({ value }) => {
    const { name, shape } = valueAt(graph, value);
    return used.has(value) ? [floatTensor(names.value(value), shape, weights.get(name)?.data ?? [])] : [];
  });
}

function metadata(graph: CheckedGraph, options: OnnxOptions): readonly { key: string; value: string }[] {
  const entries: Record<string, string | undefined> = {
    ...options.metadata,
    parameters: String(graphCost(graph).parameters),
    normalization: options.normalization && JSON.stringify(options.normalization),
    labels: options.labels && JSON.stringify(options.labels),
    transform: options.transform,
  };
  return Object.entries(entries).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value }]));
}
