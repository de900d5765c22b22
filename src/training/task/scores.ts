import type { Task } from '../../task/task-head.ts';

/** What a task counts at the end of an epoch, by the names that files use. */
export interface TaskScores {
  /** Decides which epoch is the best: the greatest; of equal ones, the smaller `loss`. */
  readonly deciding: string;
  /** Columns of `metrics.csv`: of training, then of validation. */
  readonly training: readonly string[];
  readonly validation: readonly string[];
}

export const taskScores: Readonly<Record<Task, TaskScores>> = {
  classify: { deciding: 'top1', training: ['trainTop1'], validation: ['loss', 'top1', 'top5'] },
  detect: { deciding: 'mAP', training: [], validation: ['mAP', 'mAP50', 'mAP75'] },
  segment: { deciding: 'mIoU', training: [], validation: ['mIoU', 'pixelAccuracy', 'meanAccuracy'] },
};

/** How people call a share between 0 and 1. */
export const scoreTitles: Readonly<Record<string, string>> = {
  top1: 'top-1',
  top5: 'top-5',
  mAP: 'mAP',
  mAP50: 'mAP50',
  mAP75: 'mAP75',
  mIoU: 'mIoU',
  pixelAccuracy: 'pixel accuracy',
  meanAccuracy: 'mean class accuracy',
};
