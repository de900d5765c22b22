import type { ConvGeometry } from '../graph/geometry.ts';
import { type CheckedGraph, type Node, type ValueId, valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { convMap, foldNorm, identityMap, type LinearMap, type Norm } from './linear-map.ts';

/** Who makes and who uses each value of a graph. */
export interface Wiring {
  readonly producer: ReadonlyMap<ValueId, Node>;
  /** Uses by nodes, plus by the graph's outputs and updates. */
  readonly uses: ReadonlyMap<ValueId, number>;
}

export function wiringOf(graph: CheckedGraph): Wiring {
  const producer = new Map<ValueId, Node>();
  const uses = new Map<ValueId, number>();
  const use = (id: ValueId): void => {
    uses.set(id, (uses.get(id) ?? 0) + 1);
  };
  for (const node of graph.nodes) {
    for (const id of node.inputs) use(id);
    for (const id of node.outputs) producer.set(id, node);
  }
  for (const { value } of [...graph.outputs, ...graph.updates]) use(value);
  return { producer, uses };
}

/** A chain of nodes, linear in its root: nothing (identity), batch norms, or a convolution and then batch norms. */
export interface Branch {
  readonly root: ValueId;
  readonly conv?: Node<'conv2d'>;
  /** In running order. */
  readonly norms: readonly Node<'batchNorm'>[];
}

/** Every way to read a value as a branch, shortest first; nodes whose results others use are not absorbed. */
export function branchReadings(wiring: Wiring, value: ValueId): readonly Branch[] {
  const readings: Branch[] = [{ root: value, norms: [] }];
  let norms: readonly Node<'batchNorm'>[] = [];
  let at = value;
  for (;;) {
    const node = wiring.producer.get(at);
    const input = node?.inputs[0];
    if (node === undefined || input === undefined || wiring.uses.get(at) !== 1) return readings;
    if (node.kind === 'conv2d') {
      readings.push({ root: input, conv: node, norms });
      return readings;
    }
    if (node.kind !== 'batchNorm') return readings;
    norms = [node, ...norms];
    at = input;
    readings.push({ root: at, norms });
  }
}

function parameterOf(net: Net, id: ValueId | undefined): Tensor | undefined {
  return id === undefined ? undefined : net.weights.get(valueAt(net.graph, id).name);
}

/** A node's parameters can be folded only when they are parameters: not when a graph computes them. */
export function hasOwnParameters(net: Net, node: Node): boolean {
  return node.inputs.slice(1).every((id) => parameterOf(net, id) !== undefined);
}

const empty: Tensor = { shape: [0], data: new Float32Array(0) };

function normOf(net: Net, node: Node<'batchNorm'>): Norm {
  const at = (index: number): Tensor => parameterOf(net, node.inputs[index]) ?? empty;
  return { gamma: at(1), beta: at(2), mean: at(3), variance: at(4), eps: node.attrs.eps };
}

/** A branch as one convolution; one without a convolution becomes 1×1 in the given groups. */
export function branchMap(net: Net, branch: Branch, groups: number): LinearMap {
  const { conv } = branch;
  const channels = valueAt(net.graph, branch.root).shape.at(-1) ?? 0;
  const start = conv
    ? convMap(
        conv.attrs.geometry,
        parameterOf(net, conv.inputs[1]) ?? empty,
        parameterOf(net, conv.inputs[2]),
      )
    : identityMap(channels, groups);
  return branch.norms.reduce((map, norm) => foldNorm(map, normOf(net, norm)), start);
}

export function branchNodes(branch: Branch): readonly Node[] {
  return branch.conv ? [branch.conv, ...branch.norms] : branch.norms;
}

export function geometryOf(branch: Branch): ConvGeometry | undefined {
  return branch.conv?.attrs.geometry;
}
