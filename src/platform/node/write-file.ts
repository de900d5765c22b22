import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../../errors.ts';

/**
 * Puts a file in place whole or not at all: it is written beside its place, checked there by `check`, and renamed.
 * @throws UsageError when it cannot be written; whatever `check` throws
 */
export async function writeFileWhole<T>(
  path: string,
  bytes: Uint8Array,
  check: (written: string) => Promise<T>,
): Promise<T> {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
  try {
    await writeSynced(beside, path, bytes);
    const result = await check(beside);
    await rename(beside, path);
    return result;
  } finally {
    await rm(beside, { force: true });
  }
}

async function writeSynced(beside: string, path: string, bytes: Uint8Array): Promise<void> {
  try {
    const handle = await open(beside, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`"${path}" cannot be written: ${reason}.`, { path }, { cause });
  }
}
