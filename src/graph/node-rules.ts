import type { Shape } from '../tensor/tensor.ts';
import type { Graph, NetOpKind, Node, OpAttrs, OpKind } from './graph.ts';
import { valueAt } from './graph.ts';
import { netOps } from './ops/net-ops.ts';
import { type OpDefinition, ops } from './ops/ops.ts';

/** The op table seen from a node: each function looks its row up by kind, so that no caller lists op names. */

function row<K extends OpKind>(kind: K): OpDefinition<K> {
  const definition: OpDefinition<K> = ops[kind];
  return definition;
}

/** The only place where a node is put together from its parts, so the only cast between the two. */
export function makeNode<K extends OpKind>(
  kind: K,
  parts: Pick<Node, 'name' | 'inputs' | 'outputs'> & { readonly attrs: OpAttrs[K] },
): Node {
  return { kind, ...parts } as Node;
}

/** @throws ShapeError */
export function outputShapes<K extends OpKind>(
  kind: K,
  attrs: OpAttrs[K],
  inputs: readonly Shape[],
): readonly Shape[] {
  return row(kind).shapes(attrs, inputs);
}

function inputShapes(graph: Graph, node: Pick<Node, 'inputs'>): readonly Shape[] {
  return node.inputs.map((id) => valueAt(graph, id).shape);
}

export function nodeMacs<K extends OpKind>(graph: Graph, node: Node<K>): number {
  const output = node.outputs[0] === undefined ? [] : valueAt(graph, node.outputs[0]).shape;
  return row<K>(node.kind).macs(node.attrs, inputShapes(graph, node), output);
}

export function nodePooled<K extends OpKind>(graph: Graph, node: Node<K>): number {
  return row<K>(node.kind).pooled(node.attrs, inputShapes(graph, node));
}

export function formatAttrs<K extends OpKind>(node: Node<K>): string {
  return row<K>(node.kind).format(node.attrs);
}

/** Whether an input of a net's op is pictures or what was made of them (x, y); the others are weights. */
export function readsPictures(node: Node<NetOpKind>, index: number): boolean {
  const { inputs } = row(node.kind);
  return ['x', 'y', 'x…'].includes(inputs[Math.min(index, inputs.length - 1)] ?? '');
}

export function isNetNode(node: Node): node is Node<NetOpKind> {
  return Object.hasOwn(netOps, node.kind);
}
