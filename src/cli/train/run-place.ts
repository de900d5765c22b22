import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UsageError } from '../../errors.ts';
import { runFiles } from '../../training/run/run-files.ts';

/**
 * The folder for a new run: the one asked for, or `runs/<data>-<n>` with the first number that is free.
 * @throws UsageError when a run lies there already
 */
export function newRunPlace(data: string, out: string | undefined): string {
  if (out === undefined) {
    const name = basename(resolve(data)).replace(/\.[^.]+$/, '') || 'run';
    for (let n = 1; ; n++) if (!existsSync(join('runs', `${name}-${n}`))) return join('runs', `${name}-${n}`);
  }
  if (existsSync(join(out, runFiles.last)))
    throw new UsageError(
      `--out "${out}": a run lies there; go on with it by --resume "${out}", or give another folder.`,
    );
  return out;
}
