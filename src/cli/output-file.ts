import { realpath } from 'node:fs/promises';
import { extname } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Agreement } from '../task/compare-nets.ts';
import { scientific } from './text/numbers.ts';

/** What the written net may differ by, relative, before it is refused: rounding of f32 stays far below. */
const worstRelative = 1e-3;

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

/** @throws UsageError when the measured difference is no rounding */
export function checkAgreement(what: string, { absolute, relative }: Omit<Agreement, 'probe'>): void {
  if (relative <= worstRelative) return;
  throw new UsageError(
    `${what}: differs by ${scientific(absolute)} (${scientific(relative)} relative) from the net that was read; nothing was written. Such weights do not fit the numbers of the format.`,
  );
}

export function describeAgreement({ absolute, relative }: Omit<Agreement, 'probe'>): string {
  return `at most ${scientific(absolute)}, relative ${scientific(relative)}`;
}
