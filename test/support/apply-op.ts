/** One op computed by its reference rule in f64, without a graph around it. */
import { forward } from '../../src/engine/reference/forward.ts';
import type { OpAttrs, OpKind, ValueId } from '../../src/graph/graph.ts';
import { makeNode, outputShapes } from '../../src/graph/node-rules.ts';
import { elementCount, type Shape, type Tensor } from '../../src/tensor/tensor.ts';

export function applyOp<K extends OpKind>(
  kind: K,
  attrs: OpAttrs[K],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  const shapes = outputShapes(
    kind,
    attrs,
    inputs.map(({ shape }) => shape),
  );
  const y = shapes.map((shape) => tensorOf(shape, () => Number.NaN));
  const ids = (tensors: readonly Tensor[]): ValueId[] => tensors.map((_, i) => i as ValueId);
  forward(makeNode(kind, { name: kind, attrs, inputs: ids(inputs), outputs: ids(y) }), inputs, y);
  return y;
}

export function tensorOf(shape: Shape, value: (i: number) => number): Tensor<Float64Array> {
  return { shape, data: Float64Array.from({ length: elementCount(shape) }, (_, i) => value(i)) };
}

export function dot(a: Tensor | undefined, b: Tensor | undefined): number {
  let sum = 0;
  a?.data.forEach((value, i) => {
    sum += value * (b?.data[i] ?? Number.NaN);
  });
  return sum;
}

/**
 * The derivative of ⟨weights, op(inputs)⟩, outputs one after the other, as the inputs move along directions: by a
 * fourth-order difference, good to about 1e-10 of the values where nothing kinks in between.
 */
export function directional(
  op: (inputs: readonly Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
  directions: readonly (Tensor | undefined)[],
  weights: readonly Tensor[],
): number {
  const h = 1e-3;
  const along = (step: number): number => {
    const moved = inputs.map((x, i) =>
      tensorOf(x.shape, (j) => (x.data[j] ?? 0) + step * (directions[i]?.data[j] ?? 0)),
    );
    const y = op(moved);
    return weights.reduce((sum, each, i) => sum + dot(each, y[i]), 0);
  };
  return (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h);
}
