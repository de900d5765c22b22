import { realpath } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError, WeightsError } from '../errors.ts';
import type { Agreement } from '../task/compare-nets.ts';
import { scientific } from './text/numbers.ts';

/** @throws UsageError when the ending of a file to write is none of `endings` */
export function outputEnding<E extends string>(path: string, endings: readonly E[]): E {
  const found = endings.find((ending) => ending === extname(path).toLowerCase());
  if (found) return found;
  throw new UsageError(`"${path}": the name of the file to write must end in ${endings.join(' or ')}.`);
}

/** @throws UsageError when both are one file: what was read should outlive a command that goes wrong */
export async function checkDifferentFiles(input: string, output: string): Promise<void> {
  const [from, to] = await Promise.all([input, output].map((path) => realpath(path).catch(() => path)));
  if (from === to) throw new UsageError(`"${output}" is the file that is read; give another name to write.`);
}

/** @throws WeightsError when the measured relative difference is more than rounding to `limit` explains */
export function checkAgreement(file: string, { absolute, relative }: Agreement, limit: number): void {
  if (relative <= limit) return;
  throw new WeightsError(
    `"${file}" would give other answers than the net that was read: they differ by ${scientific(absolute)}, ${scientific(relative)} relative, where at most ${limit} is rounding. Nothing was written; the weights may be damaged or too large for the type.`,
    { absolute, relative, limit },
  );
}

/** Of pictures that a person can count: `at most 3.1e-7, relative 1.8e-7, on 2 random pictures of 64×64` */
export function describeAgreement({ absolute, relative, probe }: Agreement): string {
  const [pictures, height, width] = probe;
  return `at most ${scientific(absolute)}, relative ${scientific(relative)}, on ${pictures} random pictures of ${height}×${width}`;
}
