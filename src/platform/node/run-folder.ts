import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TrainingError } from '../../errors.ts';
import type { RunStore } from '../../training/run/run-store.ts';
import { claimRunFolder } from './run-claim.ts';

const partEnding = '.part';

/**
 * A run's files in a folder, which is made when needed. A file is written beside its place, brought to the disk and
 * renamed, so that a crash at any moment leaves the old file or the new one; what crashes leave beside is removed here.
 * @throws TrainingError when the folder cannot be made, or another process trains in it
 */
export async function openRunFolder(path: string): Promise<RunStore> {
  await guarded(path, async () => {
    await mkdir(path, { recursive: true });
    await claimRunFolder(path);
    for (const name of await readdir(path, { recursive: true }))
      if (name.endsWith(partEnding)) await rm(join(path, name), { force: true });
  });
  return {
    name: path,
    read: async (name) => {
      try {
        return await readFile(join(path, name));
      } catch (cause) {
        if (isMissing(cause)) return undefined;
        throw failure(join(path, name), 'read', cause);
      }
    },
    write: (name, bytes) => guarded(join(path, name), () => writeWhole(join(path, name), bytes)),
  };
}

async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}${partEnding}`);
  try {
    const handle = await open(beside, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Makes the rename itself last; systems that cannot open folders do without. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined);
  try {
    await handle?.sync().catch(() => undefined);
  } finally {
    await handle?.close();
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof TrainingError) throw cause;
    throw failure(path, 'written', cause);
  }
}

function failure(path: string, what: 'read' | 'written', cause: unknown): TrainingError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TrainingError(
    `"${path}" cannot be ${what}: ${reason}. What was there before is unchanged; make room or give another --out, then go on with --resume.`,
    { path },
    { cause },
  );
}
