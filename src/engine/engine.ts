import type { CheckedGraph } from '../graph/graph.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';

export type Precision = 'f32' | 'f64' | 'bf16';

export interface CompileOptions {
  /** What tensors hold between nodes; default f32. An engine that lacks one throws EngineError. */
  readonly precision?: Precision;
}

/** One graph made ready to run. Not reentrant: a run must end before the next begins. */
export interface Session {
  /**
   * @param inputs one tensor per graph input, by name
   * @returns one tensor per graph output, by name; the caller owns them
   * @throws ShapeError on a missing, unknown or wrongly shaped input; EngineError after dispose
   */
  readonly run: (inputs: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>;
  readonly dispose: () => void;
}

/** An implementation of the ops. It is handed in by a composition root; nothing below one knows which it is. */
export interface Engine {
  readonly name: string;
  /** @throws WeightsError when a parameter of the graph is missing or of another shape */
  readonly compile: (graph: CheckedGraph, weights: Weights, options?: CompileOptions) => Promise<Session>;
}
