import type { CompileOptions, Engine, NamedTensors } from '../../engine/engine.ts';
import type { CheckedGraph } from '../../graph/graph.ts';
import type { RunReport } from '../../report/run-report.ts';
import type { Weights } from '../../tensor/tensor.ts';
import type { TrainRequest } from '../batches/training-data.ts';
import type { RunConfig } from '../recipe/run-config.ts';
import type { AddLoss } from '../step/learning-step.ts';
import type { TaskScores } from './scores.ts';

/**
 * What is learned, and everything in which one task differs from another; `learn` does the rest for all of them:
 * schedules, the step's graph, epochs, checkpoints, metrics, going on. Made of a configuration and data by
 * `classifyTask` and its like. Everything a task answers must depend on its arguments alone, so that a run that was
 * stopped goes on to the same numbers.
 *
 * A new task: a row in `taskScores`, a member of `RunConfig` with its recipe's schema, and this interface.
 */
export interface LearningTask {
  /** Also the state's: what `learn` writes into checkpoints. */
  readonly config: RunConfig;
  /** Which columns of metrics the task has, and by which of them epochs are compared. */
  readonly scores: TaskScores;
  /** What there is to learn from; held against the configuration's. No validation: the last epoch is the best. */
  readonly found: { readonly train: number; readonly validation: number; readonly classes: number };
  /**
   * The net as it learns: in the configuration's form, with all its heads. The names of its parameters do not depend on
   * the shape.
   */
  readonly net: (shape: StepShape) => CheckedGraph;
  /** Called once for each step graph, on the net as it learns: adds the truth's inputs, gives the loss [1]. */
  readonly addLoss: AddLoss;
  /** The loss that guesses have: a run whose loss stays far above it is given up. */
  readonly guess: number;
  /**
   * The batches of an epoch, all of `batch` pictures of `size` × `size`; what is left of the pictures over a whole
   * number of batches is left out.
   */
  readonly trainBatches: (request: TrainRequest) => AsyncIterable<LearningBatch>;
  /** Pictures of a batch that the net tells right, by the step's outputs; absent: only the loss is shown of a step. */
  readonly right?: (outputs: NamedTensors, inputs: NamedTensors) => number;
  /** Further inputs of the steps of one shape that someone has to compute, such as a teacher's answers. */
  readonly startPhase?: (shape: StepShape, tools: TaskTools) => Promise<PhaseInputs>;
  /**
   * Judges weights by all validation pictures. Called only when there are some.
   * @param weights averaged, by the names of the net's parameters
   * @returns a number for each of `scores.validation`, null where there is none
   * @throws the signal's reason after an abort
   */
  readonly evaluate: (weights: Weights, tools: TaskTools) => Promise<Readonly<Record<string, number | null>>>;
  /** The trained net for use, as the bytes of a file: deploy form, with its name, labels and transform inside. */
  readonly deployFile: (weights: Weights) => Uint8Array;
  /** What the report tells beside the run itself: the weights judged, pictures, facts about the net. */
  readonly report: (weights: Weights, tools: TaskTools) => Promise<TaskReport>;
}

export interface StepShape {
  /** Pictures of a step. */
  readonly batch: number;
  /** Side of the pictures. */
  readonly size: number;
}

export interface LearningBatch {
  /** All inputs of the step but its rates: the net's `image`, those of the loss. */
  readonly inputs: NamedTensors;
  /**
   * How much there is that the loss is the mean of; asked where a step has several parts. Absent: the same in all.
   * Nothing to learn from is 0, and the loss then too.
   */
  readonly counted?: () => number;
  /** Called when the tensors are not needed any more. */
  readonly release?: () => void;
}

export interface TaskTools {
  readonly engine: Engine;
  readonly compile?: CompileOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PhaseInputs {
  readonly of: (inputs: NamedTensors) => Promise<NamedTensors>;
  readonly dispose: () => void;
}

/** Parts of a `RunReport`. */
export type TaskReport = Omit<
  RunReport,
  'title' | 'status' | 'history' | 'bestEpoch' | 'speed' | 'config' | 'headline'
> &
  Required<Pick<RunReport, 'headline' | 'model'>>;
