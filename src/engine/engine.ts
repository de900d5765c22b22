import type { CheckedGraph } from '../graph/graph.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';

/**
 * What engines compute with. Factors of matrix products, and the tensors that only they read, are bf16 where asked
 * for, with f32 sums and all else f32; in bf16x2 they are sums of two bf16 numbers where one would cost accuracy.
 */
export type Precision = 'f32' | 'f64' | 'bf16' | 'bf16x2';

/** What is asked of an engine. One that lacks what is asked throws EngineError; hints may be ignored. */
export interface CompileOptions {
  /** Default f32. */
  readonly precision?: Precision;
  /** A hint: threads a run may use, the caller's own included; default 'auto'. */
  readonly threads?: number | 'auto';
  /** The instruction set to emit, by name; default the fastest there is. */
  readonly target?: string;
  /** Times every task of every run, for `Session.profile`. */
  readonly profile?: boolean;
}

/** Time spent in one task: an op with what was fused into it. */
export interface TaskProfile {
  /** Name of the task's last node. */
  readonly name: string;
  /** Its ops in order, e.g. `conv2d+sum+relu`. */
  readonly ops: string;
  /** Over all runs. */
  readonly milliseconds: number;
  readonly runs: number;
  /** In one run. */
  readonly flops: number;
}

export interface SessionInfo {
  readonly target: string;
  readonly threads: number;
  /** Held until dispose: packed weights, activations, tables. */
  readonly memoryBytes: number;
  /** Of these, tensors between nodes. */
  readonly activationBytes: number;
  readonly codeBytes: number;
  readonly flops: number;
}

export type NamedTensors = Readonly<Record<string, Tensor>>;

/** One graph made ready to run. Runs that overlap are taken one after the other. */
export interface Session {
  /**
   * @param inputs one tensor per graph input, by name
   * @param outputs tensors to overwrite and return, by output name; a fresh one is made where none is given
   * @returns one tensor per graph output, by name; the caller owns them
   * @throws ShapeError on a missing, unknown or wrongly shaped tensor; EngineError after dispose
   */
  readonly run: (inputs: NamedTensors, outputs?: NamedTensors) => Promise<NamedTensors>;
  /** The same on this thread's time, from engines that can. */
  readonly runSync?: (inputs: NamedTensors, outputs?: NamedTensors) => NamedTensors;
  /** The graph's updated parameters as of the last run, by name; copies. */
  readonly state: () => Weights;
  /** Times since compilation, in running order; empty unless the session was compiled with `profile`. */
  readonly profile?: () => readonly TaskProfile[];
  readonly info?: SessionInfo;
  /** Frees everything; disposing twice is allowed. */
  readonly dispose: () => void;
}

/** An implementation of the ops. It is handed in by a composition root; nothing below one knows which it is. */
export interface Engine {
  readonly name: string;
  /** @throws WeightsError when a parameter of the graph is missing or of another shape */
  readonly compile: (graph: CheckedGraph, weights: Weights, options?: CompileOptions) => Promise<Session>;
}
