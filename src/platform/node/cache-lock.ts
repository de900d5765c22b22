import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './cache-fault.ts';

export interface FileLock {
  /** Whether the lock file is still this holder's: checked before the one step that others can see. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockTimes {
  /** How often a waiting process looks again. */
  readonly pollMs: number;
  /** A lock not renewed for so long belongs to nobody; a holder renews it four times as often. */
  readonly staleMs: number;
}

/**
 * Takes a lock file, waiting while a living process holds it. A lock is abandoned when its process is gone (same
 * machine) or has not renewed it for `staleMs` (a cache shared between machines).
 * @throws the signal's reason when aborted while waiting; system errors
 */
export async function takeLock(path: string, times: LockTimes, signal?: AbortSignal): Promise<FileLock> {
  const token = `${process.pid} ${hostname()} ${randomUUID()}`;
  for (;;) {
    signal?.throwIfAborted();
    try {
      await writeFile(path, token, { flag: 'wx' });
      return holdLock(path, token, times);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    if (!(await breakIfAbandoned(path, times.staleMs))) {
      await sleep(times.pollMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function holdLock(path: string, token: string, { staleMs }: LockTimes): FileLock {
  const held = async () => (await tokenAt(path)) === token;
  const renew = setInterval(() => utimes(path, new Date(), new Date()).catch(() => undefined), staleMs / 4);
  renew.unref();
  return {
    held,
    release: async () => {
      clearInterval(renew);
      if (await held()) await rm(path, { force: true });
    },
  };
}

/** Moves the lock aside before removing it, so that of two processes that find it abandoned only one removes it. */
async function breakIfAbandoned(path: string, staleMs: number): Promise<boolean> {
  const token = await tokenAt(path);
  const age = await stat(path).then(
    (found) => Date.now() - found.mtimeMs,
    () => 0,
  );
  if (token === undefined) return true;
  // A token can be missing for a moment: the file is created first and written then.
  const [pid, host] = token.split(' ');
  const gone = host === hostname() && !isAlive(Number(pid));
  if (!gone && age < staleMs) return false;
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return true;
  }
  if ((await tokenAt(aside)) === token) await rm(aside, { force: true });
  else await rename(aside, path);
  return true;
}

async function tokenAt(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a process of this machine runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
