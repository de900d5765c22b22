import { HubError } from '../../errors.ts';
import { type ByteSource, checkRange } from '../../format/byte-source.ts';
import { hex } from '../../hub/hex.ts';
import {
  type CacheStore,
  canContinue,
  checkKey,
  type PartialFile,
  type PartialOrigin,
} from '../../hub/store.ts';

export interface PageStoreOptions {
  /** Name of the page's cache; default `mobileone`. */
  readonly name?: string;
  readonly caches?: Pick<CacheStorage, 'open'>;
  readonly locks?: Pick<LockManager, 'request'>;
}

interface PartialParts {
  origin: PartialOrigin | undefined;
  parts: Uint8Array<ArrayBuffer>[];
  size: number;
}

const origin = 'https://cache.invalid/';

/**
 * A cache in the page's Cache storage (secure contexts). Bytes on their way are collected in memory and put at once
 * when complete, so that a file is there whole or not at all; a reload starts over.
 */
export function createPageStore(options: PageStoreOptions = {}): CacheStore {
  const { name = 'mobileone', caches = globalThis.caches, locks = navigator.locks } = options;
  const address = (key: string) => `${origin}${checkKey(key)}`;
  const locate = (key: string) => `cache storage "${name}": ${checkKey(key)}`;
  const waiting = new Map<string, PartialParts>();

  const begin = async (key: string, signal?: AbortSignal): Promise<PartialFile> => {
    const letGo = await takeLock(locks, `${name}/${checkKey(key)}`, signal);
    const state = waiting.get(key) ?? { origin: undefined, parts: [], size: 0 };
    waiting.set(key, state);
    const blob = () => new Blob(state.parts);
    let held = true;
    const release = async () => {
      if (!held) return;
      held = false;
      if (!canContinue(state.origin, state.size)) waiting.delete(key);
      letGo();
    };
    return {
      get size() {
        return state.size;
      },
      get origin() {
        return state.origin;
      },
      reset: async (next) => {
        Object.assign(state, { origin: next, parts: [], size: 0 });
      },
      append: async (chunk) => {
        state.parts.push(new Uint8Array(chunk));
        state.size += chunk.length;
      },
      read: (offset, length) => blobSource(locate(key), blob()).read(offset, length),
      sha256: async () =>
        hex(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob().arrayBuffer()))),
      commit: async () => {
        try {
          const cache = await caches.open(name);
          await cache.put(address(key), new Response(blob()));
        } catch (error) {
          throw new HubError(
            `hub: the browser refused to keep ${key} (${state.size} bytes): ${String(error)}. Free some of the site's storage.`,
            { key, bytes: state.size },
            { cause: error },
          );
        } finally {
          Object.assign(state, { origin: undefined, parts: [], size: 0 });
          await release();
        }
      },
      release,
    };
  };

  return {
    locate,
    open: async (key) => {
      const cache = await caches.open(name);
      const response = await cache.match(address(key));
      return response && blobSource(locate(key), await response.blob());
    },
    begin,
    remove: async (key) => {
      const cache = await caches.open(name);
      await cache.delete(address(key));
      waiting.delete(key);
    },
  };
}

function blobSource(name: string, blob: Blob): ByteSource {
  const source = { name, size: blob.size };
  return {
    ...source,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

/** Holds a Web Lock, which spans the site's tabs and ends with the page, until the returned function is called. */
function takeLock(
  locks: Pick<LockManager, 'request'>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const hold = () => new Promise<void>((letGo) => resolve(letGo));
    locks.request(name, signal ? { signal } : {}, hold).catch(reject);
  });
}
