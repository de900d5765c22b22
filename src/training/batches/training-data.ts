import type { PreparedBatch } from '../../task/evaluate-classifier.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** What a run learns from and is judged by. Adapters make one of a folder, of lists, of pictures in memory. */
export interface TrainingData {
  readonly classes: number;
  readonly trainCount: number;
  /** 0: nothing to judge by; the last epoch then counts as the best. */
  readonly validationCount: number;
  /**
   * The batches of an epoch, all of `batch` pictures; what is left of the pictures over a whole number of them is left
   * out. They depend on the arguments alone, so that a run can go on in the middle of an epoch.
   */
  readonly trainBatches: (request: TrainRequest) => AsyncIterable<TrainingBatch>;
  /** Every validation picture once. */
  readonly validationBatches: (request: ValidationRequest) => AsyncIterable<PreparedBatch>;
  /** The class of a validation picture, by the index that batches give it. */
  readonly labelOf: (index: number) => number;
}

export interface TrainRequest {
  readonly epoch: number;
  /** Index of the first batch wanted. */
  readonly from: number;
  readonly batch: number;
  readonly size: number;
  /** Of augmentation, 0 … 1. */
  readonly strength: number;
}

export interface TrainingBatch {
  /** [batch,size,size,3], normalized */
  readonly images: Tensor;
  /** [batch,classes], distributions */
  readonly targets: Tensor;
  /** Called when the tensors are not needed any more. */
  readonly release?: () => void;
}

export interface ValidationRequest {
  readonly batch: number;
  readonly size: number;
  readonly resize: number;
}
