import { ShapeError } from '../errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { ValueId } from '../graph/graph.ts';

/** PyTorch's default, which every public MobileOne uses. */
export const defaultMomentum = 0.1;

export interface BatchStatistics {
  /** The batch norm whose running statistics these renew. */
  readonly name: string;
  /** [C] each; variance is biased. */
  readonly mean: ValueId;
  readonly variance: ValueId;
  /** Values per channel that they were measured over: images × rows × columns. */
  readonly count: number;
}

export interface RunningStatistics {
  /** Parameters [C]. */
  readonly mean: ValueId;
  readonly variance: ValueId;
}

export interface StatisticsUpdates {
  /**
   * running ← running + momentum·(batch − running), the variance unbiased by count/(count − 1), as PyTorch does.
   * @throws ShapeError when the count is 1, whose unbiased variance does not exist
   */
  readonly renew: (running: RunningStatistics, batch: BatchStatistics) => void;
  /** Declares the updates; statistics that several norms share have gone through all of them, in running order. */
  readonly finish: () => void;
}

export function statisticsUpdates(b: GraphBuilder, momentum: number = defaultMomentum): StatisticsUpdates {
  const latest = new Map<ValueId, ValueId>();
  const blend = (name: string, running: ValueId, batch: ValueId, factor: number): void => {
    const before = latest.get(running) ?? running;
    latest.set(running, b.node('lerp', name, { rate: momentum, factor }, [before, batch]));
  };
  return {
    renew: (running, { name, mean, variance, count }) => {
      if (count < 2)
        throw new ShapeError(
          `batchNorm "${name}": training needs more than one value per channel, found ${count}; use a larger batch or picture, or leave the layer frozen.`,
          { node: name, count },
        );
      blend(`${name}.mean.renewed`, running.mean, mean, 1);
      blend(`${name}.variance.renewed`, running.variance, variance, count / (count - 1));
    },
    finish: () => {
      for (const [parameter, value] of latest) b.update(parameter, value);
    },
  };
}
