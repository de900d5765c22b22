/** What shape rules ask of their inputs; whoever calls a rule adds the name of the node. */
import { ShapeError } from '../../errors.ts';
import { formatShape, type Shape, sameShape } from '../../tensor/tensor.ts';

export function fail(message: string): never {
  throw new ShapeError(message);
}

export function first(inputs: readonly Shape[]): Shape {
  return inputs[0] ?? fail('needs an input');
}

export function nhwc(shape: Shape | undefined, what: string): readonly [number, number, number, number] {
  const [n, h, w, c] = shape ?? [];
  if (shape?.length !== 4 || n === undefined || h === undefined || w === undefined || c === undefined)
    return fail(`${what} must be [N,H,W,C], found ${formatShape(shape ?? [])}`);
  return [n, h, w, c];
}

export function checkVector(shape: Shape | undefined, length: number, what: string): void {
  if (shape && !sameShape(shape, [length])) fail(`${what} must be [${length}], found ${formatShape(shape)}`);
}

export type Shapes = readonly Shape[];

export function expectShape(found: Shape | undefined, wanted: Shape, what: string): void {
  if (!found || !sameShape(found, wanted))
    fail(`${what} must be ${formatShape(wanted)}, found ${formatShape(found ?? [])}`);
}

/** Inputs after `head` others and before `tail` others, in groups of `size`. */
export function groupsOf(inputs: Shapes, head: number, size: number, tail = 0): readonly Shapes[] {
  const count = (inputs.length - head - tail) / size;
  if (!Number.isInteger(count) || count < 1)
    fail(`needs ${head} + n·${size} + ${tail} inputs, n ≥ 1, found ${inputs.length}`);
  return Array.from({ length: count }, (_, i) => inputs.slice(head + i * size, head + (i + 1) * size));
}

export function channelsOf(shape: Shape): number {
  return shape.at(-1) ?? fail('x must have at least one axis');
}
