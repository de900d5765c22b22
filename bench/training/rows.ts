import type { NamedTensors, Session } from '../../src/engine/engine.ts';
import type { Rival } from './rival-process.ts';

/** A contestant that trains one net on one batch. */
export interface TrainingRow {
  readonly name: string;
  /** Of every step so far. */
  readonly seconds: number[];
  readonly megabytes: () => number;
  /** Trains so many steps more. @returns their losses */
  readonly step: (count: number) => Promise<readonly number[]>;
  readonly close: () => void | Promise<void>;
}

/** @param session of a training step that gives its `loss` */
export function sessionRow(name: string, session: Session, inputs: NamedTensors): TrainingRow {
  const seconds: number[] = [];
  return {
    name,
    seconds,
    megabytes: () => (session.info?.memoryBytes ?? 0) / 2 ** 20,
    step: async (count) => {
      const losses: number[] = [];
      for (let i = 0; i < count; i++) {
        const begin = performance.now();
        const { loss } = await session.run(inputs);
        seconds.push((performance.now() - begin) / 1000);
        losses.push(loss?.data[0] ?? Number.NaN);
      }
      return losses;
    },
    close: () => session.dispose(),
  };
}

export function rivalRow(name: string, rival: Rival): TrainingRow {
  const seconds: number[] = [];
  let peak = 0;
  return {
    name,
    seconds,
    megabytes: () => peak,
    step: async (count) => {
      const turn = await rival.steps(count);
      seconds.push(...turn.seconds);
      peak = turn.peakMegabytes;
      return turn.losses;
    },
    close: rival.close,
  };
}

/**
 * Trains each contestant a few steps and compares the losses with the first one's.
 * @param tolerance relative
 * @throws Error where one computes something else
 */
export async function agreedLosses(
  rows: readonly TrainingRow[],
  steps: number,
  tolerance: number,
): Promise<readonly (readonly number[])[]> {
  const losses: (readonly number[])[] = [];
  for (const row of rows) losses.push(await row.step(steps));
  losses.forEach((own, i) => {
    own.forEach((loss, at) => {
      const expected = losses[0]?.[at] ?? Number.NaN;
      if (!(Math.abs(loss - expected) <= tolerance * Math.abs(expected)))
        throw new Error(`${rows[i]?.name}: loss ${at} is ${loss}, expected ${expected}`);
    });
  });
  return losses;
}
