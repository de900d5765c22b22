import { elementCount } from '../tensor/tensor.ts';
import { type CheckedGraph, isLearned, type Node, type ValueId, valueAt } from './graph.ts';
import { nodeMacs, nodePooled } from './node-rules.ts';

/** What a node or a graph takes. Bytes are for f32 tensors. */
export interface Cost {
  /** Learned parameters; running statistics are counted in `buffers`. */
  readonly parameters: number;
  readonly buffers: number;
  /** Multiply-accumulates; no bias, norm or activation. */
  readonly macs: number;
  /** Elements summed by pooling, one FLOP each in fvcore's and mmpretrain's tables. */
  readonly pooled: number;
  /** Elements written. */
  readonly activations: number;
  /** Bytes of inputs and parameters read plus outputs written, each once. */
  readonly bytes: number;
}

export interface NodeCost extends Cost {
  readonly node: Node;
}

const zeroCost: Cost = { parameters: 0, buffers: 0, macs: 0, pooled: 0, activations: 0, bytes: 0 };

function addCosts(a: Cost, b: Cost): Cost {
  return {
    parameters: a.parameters + b.parameters,
    buffers: a.buffers + b.buffers,
    macs: a.macs + b.macs,
    pooled: a.pooled + b.pooled,
    activations: a.activations + b.activations,
    bytes: a.bytes + b.bytes,
  };
}

/** Costs of every node in running order; a parameter counts at its first use only. */
export function nodeCosts(graph: CheckedGraph): readonly NodeCost[] {
  const roles = new Map(graph.parameters.map(({ value, role }) => [value, role]));
  const counted = new Set<ValueId>();
  const size = (id: ValueId): number => elementCount(valueAt(graph, id).shape);
  return graph.nodes.map((node) => {
    let parameters = 0;
    let buffers = 0;
    for (const id of node.inputs) {
      const role = roles.get(id);
      if (role === undefined || counted.has(id)) continue;
      counted.add(id);
      if (isLearned(role)) parameters += size(id);
      else buffers += size(id);
    }
    const activations = node.outputs.reduce((sum, id) => sum + size(id), 0);
    const bytes = 4 * (activations + node.inputs.reduce((sum, id) => sum + size(id), 0));
    return {
      node,
      parameters,
      buffers,
      macs: nodeMacs(graph, node),
      pooled: nodePooled(graph, node),
      activations,
      bytes,
    };
  });
}

export function graphCost(graph: CheckedGraph): Cost {
  return nodeCosts(graph).reduce<Cost>(addCosts, zeroCost);
}
