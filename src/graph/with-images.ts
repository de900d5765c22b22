import type { Shape } from '../tensor/tensor.ts';
import { checkGraph } from './check.ts';
import { type CheckedGraph, type Value, valueAt } from './graph.ts';
import { isNetNode, outputShapes, readsPictures } from './node-rules.ts';

/**
 * How many pictures all inputs and outputs have; undefined where they differ, or where something else computes than a net
 * whose weights are parameters.
 */
export function imagesOf(graph: CheckedGraph): number | undefined {
  if (graph.updates.length > 0 || graph.gate !== undefined) return undefined;
  const weights = new Set(graph.parameters.map(({ value }) => value));
  const apart = graph.nodes.every(
    (node) => isNetNode(node) && node.inputs.every((id, i) => readsPictures(node, i) !== weights.has(id)),
  );
  if (!apart) return undefined;
  const ends = [...graph.inputs, ...graph.outputs.map(({ value }) => value)];
  const counts = new Set(ends.map((id) => valueAt(graph, id).shape[0]));
  const [images] = counts;
  return counts.size === 1 ? images : undefined;
}

/**
 * The same net for another number of pictures. Ops of nets treat pictures apart, so each gets the answer it gets among
 * others.
 * @returns undefined where the graph has no number of pictures that could be changed
 */
export function withImages(graph: CheckedGraph, images: number): CheckedGraph | undefined {
  if (imagesOf(graph) === undefined) return undefined;
  const values: Value[] = [...graph.values];
  const setShape = (id: number, shape: Shape): void => {
    const value = values[id];
    if (value !== undefined) values[id] = { ...value, shape };
  };
  for (const id of graph.inputs) setShape(id, [images, ...valueAt(graph, id).shape.slice(1)]);
  try {
    for (const { kind, attrs, inputs, outputs } of graph.nodes) {
      const shapes = outputShapes(
        kind,
        attrs,
        inputs.map((id) => values[id]?.shape ?? []),
      );
      outputs.forEach((id, i) => {
        setShape(id, shapes[i] ?? []);
      });
    }
    const changed = checkGraph({ ...graph, values });
    return imagesOf(changed) === images ? changed : undefined;
  } catch {
    return undefined;
  }
}
