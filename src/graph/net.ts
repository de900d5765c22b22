import type { Weights } from '../tensor/tensor.ts';
import type { CheckedGraph } from './graph.ts';

/** A graph and the tensors of its parameters. */
export interface Net {
  readonly graph: CheckedGraph;
  readonly weights: Weights;
}
