/** The convolutions and linear layers of a graph as tasks with made-up weights, in running order. */
import type { ActivationName } from '../src/graph/activations.ts';
import { nodeCosts } from '../src/graph/cost.ts';
import { type ConvGeometry, convGeometry, formatGeometry } from '../src/graph/geometry.ts';
import { type CheckedGraph, type Node, valueAt } from '../src/graph/graph.ts';
import type { ConvTask } from '../src/kernel/convolution/convolution-row.ts';
import type { Random } from '../src/tensor/random.ts';
import { elementCount, formatShape } from '../src/tensor/tensor.ts';

export interface ConvLayer {
  readonly name: string;
  /** Equal for layers that do the same work. */
  readonly shape: string;
  readonly task: ConvTask;
  readonly macs: number;
}

/** The activation that follows a node directly, which the engine fuses into it. */
function activationAfter(graph: CheckedGraph, node: Node): ActivationName | null {
  const next = graph.nodes.find((other) => node.outputs.some((output) => other.inputs.includes(output)));
  return next?.kind === 'activation' ? next.attrs.fn : null;
}

function geometryOf(node: Node): ConvGeometry | undefined {
  if (node.kind === 'conv2d') return node.attrs.geometry;
  return node.kind === 'linear' ? convGeometry({ kernel: 1 }) : undefined;
}

export function convLayers(graph: CheckedGraph, random: Random): readonly ConvLayer[] {
  return nodeCosts(graph).flatMap(({ node, macs }): ConvLayer[] => {
    const geometry = geometryOf(node);
    const [x, weight] = node.inputs;
    if (geometry === undefined || x === undefined || weight === undefined) return [];
    const { shape: given } = valueAt(graph, x);
    const [images = 1, features = 1] = given;
    const input = given.length === 4 ? given : [images, 1, 1, features];
    const [outChannels = 1, inner = 1] = valueAt(graph, weight).shape;
    const shape = [outChannels, inner, ...geometry.kernel];
    const scale = 1.4 / Math.sqrt(elementCount(shape.slice(1)));
    const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal() * scale);
    const bias = Float32Array.from({ length: outChannels }, () => random.normal() * 0.1);
    const task: ConvTask = {
      input,
      geometry,
      weight: { shape, data },
      bias: { shape: [outChannels], data: bias },
      activation: activationAfter(graph, node),
      residual: false,
    };
    const grouped =
      geometry.groups > 1 ? `${formatGeometry({ ...geometry, groups: 1 })} dw` : formatGeometry(geometry);
    return [
      { name: node.name, shape: `${formatShape(input.slice(1))} → ${outChannels} ${grouped}`, task, macs },
    ];
  });
}
