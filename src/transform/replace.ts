import { GraphError } from '../errors.ts';
import { graphBuilder } from '../graph/builder.ts';
import { type Node, type ValueId, valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { Shape, Tensor } from '../tensor/tensor.ts';
import type { LinearMap } from './linear-map.ts';

/** A node whose result becomes one convolution with bias of `input`; the absorbed nodes vanish with it. */
export interface Replacement {
  /** Prefix of the new parameters: `<name>.weight`, `<name>.bias`. The new node is `<name>.fused`. */
  readonly name: string;
  readonly input: ValueId;
  readonly absorbed: ReadonlySet<Node>;
  readonly map: LinearMap;
}

/** A new net with the replacements made; parameters that nothing uses any more are gone. */
export function replaceNodes(net: Net, replacements: ReadonlyMap<Node, Replacement>): Net {
  const { graph } = net;
  const absorbed = new Set([...replacements.values()].flatMap((replacement) => [...replacement.absorbed]));
  const roles = new Map(graph.parameters.map(({ value, role }) => [value, role]));
  const b = graphBuilder(graph.name.replace(/ train form$/, ' deploy form'));
  const weights = new Map<string, Tensor>();
  const renewed = new Map<ValueId, ValueId>();
  const wide = [...net.weights.values()].some((tensor) => tensor.data instanceof Float64Array);
  const store = (name: string, shape: Shape, data: Float64Array): void => {
    weights.set(name, { shape, data: wide ? data : Float32Array.from(data) });
  };
  const renew = (id: ValueId): ValueId => {
    const known = renewed.get(id);
    if (known !== undefined) return known;
    const role = roles.get(id);
    const { name, shape } = valueAt(graph, id);
    const tensor = net.weights.get(name);
    if (role === undefined || tensor === undefined)
      throw new GraphError(`graph "${graph.name}": value "${name}" is used but nothing gives it.`);
    const made = b.parameter(name, shape, role);
    weights.set(name, tensor);
    renewed.set(id, made);
    return made;
  };
  for (const id of graph.inputs) renewed.set(id, b.input(valueAt(graph, id).name, valueAt(graph, id).shape));
  for (const node of graph.nodes) {
    if (absorbed.has(node) && !replacements.has(node)) continue;
    const replacement = replacements.get(node);
    const result = node.outputs[0];
    if (result === undefined) continue;
    if (replacement === undefined) {
      renewed.set(result, copyNode(b, node, node.inputs.map(renew)));
      continue;
    }
    const { name, map } = replacement;
    const [kernelHeight, kernelWidth] = map.geometry.kernel;
    const weightShape: Shape = [
      map.outChannels,
      map.weight.length / (map.outChannels * kernelHeight * kernelWidth),
      kernelHeight,
      kernelWidth,
    ];
    const input = renew(replacement.input);
    const weight = b.parameter(`${name}.weight`, weightShape, 'weight');
    const bias = b.parameter(`${name}.bias`, [map.outChannels], 'bias');
    store(`${name}.weight`, weightShape, map.weight);
    store(`${name}.bias`, [map.outChannels], map.bias);
    renewed.set(result, b.node('conv2d', `${name}.fused`, { geometry: map.geometry }, [input, weight, bias]));
  }
  for (const { name, value } of graph.outputs) b.output(name, renew(value));
  return { graph: b.finish(), weights };
}

function copyNode(b: ReturnType<typeof graphBuilder>, node: Node, inputs: readonly ValueId[]): ValueId {
  return b.node(node.kind, node.name, node.attrs, inputs);
}
