import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../../errors.ts';
import { checkRange } from '../../format/byte-source.ts';
import {
  type CacheStore,
  canContinue,
  checkKey,
  type PartialFile,
  type PartialOrigin,
} from '../../hub/store.ts';
import { cacheFault } from './cache-fault.ts';
import { cacheFolder } from './cache-folder.ts';
import { type FileLock, type LockTimes, takeLock } from './cache-lock.ts';
import { findFile, readExactly } from './file-source.ts';

export interface DiskStoreOptions extends Partial<LockTimes> {
  /** Default: `cacheFolder()`. Created when the first file comes. */
  readonly folder?: string;
}

/**
 * A cache in a folder, one file a key. While `x.pth` is on its way there are `x.pth.part` (its bytes so far),
 * `x.pth.part.json` (where they came from) and `x.pth.lock`; at the end the part is renamed.
 */
export function createDiskStore(options: DiskStoreOptions = {}): CacheStore {
  const { folder = cacheFolder(), pollMs = 100, staleMs = 120_000 } = options;
  const locate = (key: string) => join(folder, checkKey(key));
  return {
    locate,
    open: (key) => findFile(locate(key)),
    begin: async (key, signal) => {
      const path = locate(key);
      try {
        await mkdir(folder, { recursive: true });
        const lock = await takeLock(`${path}.lock`, { pollMs, staleMs }, signal);
        return await openPartial(path, lock);
      } catch (error) {
        signal?.throwIfAborted();
        throw cacheFault('write to the cache at', path, error);
      }
    },
    remove: async (key) => {
      const path = locate(key);
      for (const name of [path, `${path}.part`, `${path}.part.json`]) await rm(name, { force: true });
    },
  };
}

async function openPartial(path: string, lock: FileLock): Promise<PartialFile> {
  const part = `${path}.part`;
  let origin: PartialOrigin | undefined;
  let size = 0;
  let handle: FileHandle | undefined;
  let isOpen = true;

  const close = async () => {
    await handle?.close();
    handle = undefined;
  };
  const discard = async () => {
    await close();
    origin = undefined;
    size = 0;
    await rm(part, { force: true });
    await rm(`${part}.json`, { force: true });
  };
  /** A disk that fails gets its room back. */
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      await discard().catch(() => undefined);
      throw cacheFault('write', part, error);
    }
  };
  const release = async () => {
    if (!isOpen) return;
    isOpen = false;
    try {
      if (canContinue(origin, size)) await close();
      else await discard();
    } finally {
      await lock.release();
    }
  };

  try {
    origin = await readOrigin(`${part}.json`);
    handle = origin && (await open(part, 'r+').catch(() => undefined));
    size = handle ? (await handle.stat()).size : 0;
  } catch (error) {
    await lock.release();
    throw error;
  }

  return {
    get size() {
      return size;
    },
    get origin() {
      return origin;
    },
    reset: (next) =>
      guarded(async () => {
        await discard();
        if (!next) return;
        handle = await open(part, 'w+');
        await writeFile(`${part}.json`, JSON.stringify(next));
        origin = next;
      }),
    append: (chunk) =>
      guarded(async () => {
        handle ??= await open(part, 'w+');
        for (let done = 0; done < chunk.length; ) {
          const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, size);
          done += bytesWritten;
          size += bytesWritten;
        }
      }),
    read: async (offset, length) => {
      checkRange({ name: part, size }, offset, length);
      return handle ? readExactly(handle, part, offset, length) : new Uint8Array();
    },
    sha256: () => hashFile(part, size),
    commit: async () => {
      // Whoever holds the lock now also owns the partial file: leave both alone.
      if (!(await lock.held())) throw new HubError(`hub: another process took over ${path}; run again.`);
      await guarded(async () => {
        await handle?.sync();
        await close();
        await rename(part, path);
        await rm(`${part}.json`, { force: true });
        origin = undefined;
        size = 0;
      });
      await release();
    },
    release,
  };
}

/** What an earlier run wrote beside its partial file; anything unexpected means that nothing can be continued. */
async function readOrigin(path: string): Promise<PartialOrigin | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { url, validator, total } = { url: undefined, validator: undefined, total: undefined, ...value };
    if (typeof url !== 'string') return undefined;
    return {
      url,
      ...(typeof validator === 'string' ? { validator } : {}),
      ...(Number.isSafeInteger(total) ? { total: Number(total) } : {}),
    };
  } catch {
    return undefined;
  }
}

async function hashFile(path: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  if (size > 0) for await (const chunk of createReadStream(path, { end: size - 1 })) hash.update(chunk);
  return hash.digest('hex');
}
