import { ShapeError } from '../errors.ts';
import { formatShape, type Shape, sameShape } from '../tensor/tensor.ts';
import type { OpKind } from './graph.ts';
import type { OpAttrs } from './op-attrs.ts';

/** Everything shared code may know of an op. Adding an op is one row here plus a rule in each engine's table. */
export interface OpDefinition<K extends OpKind> {
  /** Input names in order; those after `required` may be left out, a name ending in `…` may repeat. */
  readonly inputs: readonly string[];
  readonly required: number;
  /** Output shapes. @throws ShapeError that says which input does not fit (without the node's name) */
  readonly shapes: (attrs: OpAttrs[K], inputs: readonly Shape[]) => readonly Shape[];
  /** Multiply-accumulates of convolutions and products; additions of a pool are counted apart. */
  readonly macs: (attrs: OpAttrs[K], inputs: readonly Shape[], output: Shape) => number;
  /** Elements a pooling op adds up, which published tables count as one FLOP each. */
  readonly pooled: (attrs: OpAttrs[K], inputs: readonly Shape[]) => number;
  /** Attributes as text, empty when there are none. */
  readonly format: (attrs: OpAttrs[K]) => string;
  /** Each output element depends on the elements at its own position (or channel) only. */
  readonly elementwise: boolean;
  /** The output may overwrite the first input when that is not needed again. */
  readonly inPlaceSafe: boolean;
}

const none = (): number => 0;
const blank = (): string => '';

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

export const plain = {
  macs: none,
  pooled: none,
  format: blank,
  elementwise: false,
  inPlaceSafe: false,
} as const;
export const pointwise = { ...plain, elementwise: true, inPlaceSafe: true } as const;
