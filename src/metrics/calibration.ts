import { ratio } from './confusion.ts';

/** Answers whose probability lies in [low, high). */
export interface CalibrationBin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Mean probability of the answers; null when there are none. */
  readonly confidence: number | null;
  /** Share of them that is right. */
  readonly accuracy: number | null;
}

export interface Calibration {
  /**
   * Expected calibration error: Σ count/total · |accuracy − confidence| over the bins; null without answers.
   * @see Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599
   */
  readonly error: number | null;
  readonly bins: readonly CalibrationBin[];
}

export interface CalibrationMeter {
  /** @param probability of the answer; 1 belongs to the last bin */
  readonly add: (probability: number, right: boolean) => void;
  readonly result: () => Calibration;
}

/** Whether answers of 80 % are right 80 times of 100, in bins of equal width. */
export function calibrationMeter(binCount = 15): CalibrationMeter {
  const bins = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, right: 0 }));
  return {
    add: (probability, right) => {
      const bin = bins[Math.min(binCount - 1, Math.max(0, Math.floor(probability * binCount)))];
      if (!bin) return;
      bin.count++;
      bin.confidence += probability;
      if (right) bin.right++;
    },
    result: () => {
      const total = bins.reduce((sum, { count }) => sum + count, 0);
      const gap = bins.reduce((sum, { confidence, right }) => sum + Math.abs(confidence - right), 0);
      return {
        error: ratio(gap, total),
        bins: bins.map(({ count, confidence, right }, i) => ({
          low: i / binCount,
          high: (i + 1) / binCount,
          count,
          confidence: ratio(confidence, count),
          accuracy: ratio(right, count),
        })),
      };
    },
  };
}
