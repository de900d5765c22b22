import { GraphError } from '../errors.ts';
import { checkGraph } from '../graph/check.ts';
import type { Node, ValueId } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import {
  type Branch,
  branchMap,
  branchNodes,
  branchReadings,
  geometryOf,
  hasOwnParameters,
  type Wiring,
  wiringOf,
} from './branches.ts';
import { allowsIdentity, type LinearMap, sumMaps, widestGeometry } from './linear-map.ts';
import { type Replacement, replaceNodes } from './replace.ts';

export interface ReparameterizeOptions {
  /** Which nodes' blocks to fuse: asked of every `sum`, and of the last batch norm of a lone chain. Default all. */
  readonly only?: (node: Node) => boolean;
}

/**
 * Train form → deploy form: every `sum` whose operands are linear maps of one value (convolutions, batch norms,
 * the value itself) becomes one convolution with bias, and batch norms after a remaining convolution are folded
 * into it. Pure; sums in f64, stored in the weights' own precision. Graphs without blocks come back as they are.
 * @throws GraphError when a block's branches cannot be one convolution (other strides, off-centre padding)
 */
export function reparameterize(net: Net, options: ReparameterizeOptions = {}): Net {
  const { only = () => true } = options;
  const wiring = wiringOf(net.graph);
  const replacements = new Map<Node, Replacement>();
  for (const node of net.graph.nodes) {
    if (!only(node)) continue;
    const branches = node.kind === 'sum' ? blockBranches(net, wiring, node) : loneBranch(net, wiring, node);
    if (branches === undefined) continue;
    const name = node.kind === 'sum' ? node.name.replace(/\.sum$/, '') : loneName(branches[0]);
    replacements.set(node, fused(net, name, branches));
  }
  if (replacements.size === 0) return net;
  const result = replaceNodes(net, replacements);
  return { graph: checkGraph(result.graph), weights: result.weights };
}

/** One reading for each operand of a sum, all with the same root and at least one convolution among them. */
function blockBranches(net: Net, wiring: Wiring, node: Node<'sum'>): readonly Branch[] | undefined {
  const readings = node.inputs.map((id) =>
    branchReadings(wiring, id).filter((branch) => branchNodes(branch).every((n) => hasOwnParameters(net, n))),
  );
  for (const { root } of [...(readings[0] ?? [])].reverse()) {
    const chosen = readings.flatMap((options) => options.find((branch) => branch.root === root) ?? []);
    if (chosen.length === readings.length && chosen.some((branch) => branch.conv)) return chosen;
  }
  return undefined;
}

/** The last batch norm of a chain conv → norm → … that is no operand of a block. */
function loneBranch(net: Net, wiring: Wiring, node: Node): readonly Branch[] | undefined {
  if (node.kind !== 'batchNorm') return undefined;
  const output = node.outputs[0];
  if (output === undefined || usedByFoldable(net, wiring, output)) return undefined;
  const input = node.inputs[0];
  if (input === undefined || !hasOwnParameters(net, node)) return undefined;
  const inner = branchReadings(wiring, input).find((branch) => branch.conv);
  if (inner === undefined || !branchNodes(inner).every((n) => hasOwnParameters(net, n))) return undefined;
  return [{ ...inner, norms: [...inner.norms, node] }];
}

/** Whether the node that uses this value alone will itself absorb it. */
function usedByFoldable(net: Net, wiring: Wiring, value: ValueId): boolean {
  if (wiring.uses.get(value) !== 1) return false;
  const user = net.graph.nodes.find((node) => node.inputs.includes(value));
  if (user?.kind === 'batchNorm') return user.inputs[0] === value && hasOwnParameters(net, user);
  return user?.kind === 'sum' && blockBranches(net, wiring, user) !== undefined;
}

/** `p.conv` and `p.bn` give `p`; otherwise the convolution's own name. */
function loneName(branch: Branch | undefined): string {
  const name = branch?.conv?.name ?? '';
  return name.replace(/\.conv$/, '');
}

function fused(net: Net, name: string, branches: readonly Branch[]): Replacement {
  const geometries = branches.flatMap((branch) => geometryOf(branch) ?? []);
  const groups = geometries[0]?.groups ?? 1;
  const maps: readonly LinearMap[] = branches.map((branch) => branchMap(net, branch, groups));
  const target = widestGeometry(maps.filter((_, i) => branches[i]?.conv !== undefined));
  if (target === undefined) throw new GraphError(`block "${name}": has no convolution to fuse into.`);
  if (branches.some((branch) => !branch.conv) && !allowsIdentity(target))
    throw new GraphError(
      `block "${name}": a skip branch needs stride 1 and padding = dilation·(kernel−1)/2, found stride ${target.stride.join('×')} and padding [${target.padding.join(',')}].`,
    );
  return {
    name,
    input: branches[0]?.root ?? (0 as ValueId),
    absorbed: new Set(branches.flatMap(branchNodes)),
    map: sumMaps(name, maps, target),
  };
}
