import { memorySource } from '../format/byte-source.ts';
import { hex } from './hex.ts';
import { type CacheStore, canContinue, checkKey, type PartialFile, type PartialOrigin } from './store.ts';

interface PartialBytes {
  origin: PartialOrigin | undefined;
  bytes: Uint8Array<ArrayBuffer>;
  size: number;
}

/** A cache that lives as long as the object: for pages without storage and for tests. */
export function createMemoryStore(): CacheStore {
  const files = new Map<string, Uint8Array>();
  const partials = new Map<string, PartialBytes>();
  const holders = new Map<string, Promise<void>>();
  const locate = (key: string) => `memory:${checkKey(key)}`;

  const begin = async (key: string, signal?: AbortSignal): Promise<PartialFile> => {
    const name = locate(key);
    for (let holder = holders.get(key); holder; holder = holders.get(key)) await waitFor(holder, signal);
    signal?.throwIfAborted();
    let letGo: () => void = () => {};
    holders.set(
      key,
      new Promise((resolve) => {
        letGo = resolve;
      }),
    );
    const state = partials.get(key) ?? { origin: undefined, bytes: new Uint8Array(), size: 0 };
    partials.set(key, state);
    const written = () => state.bytes.subarray(0, state.size);
    let held = true;
    const release = async () => {
      if (!held) return;
      held = false;
      if (partials.get(key) === state && !canContinue(state.origin, state.size)) partials.delete(key);
      holders.delete(key);
      letGo();
    };
    return {
      get size() {
        return state.size;
      },
      get origin() {
        return state.origin;
      },
      reset: async (origin) => {
        Object.assign(state, { origin, bytes: new Uint8Array(origin?.total ?? 0), size: 0 });
      },
      append: async (chunk) => {
        const size = state.size + chunk.length;
        if (size > state.bytes.length) {
          const grown = new Uint8Array(Math.max(size, state.bytes.length * 2));
          grown.set(written());
          state.bytes = grown;
        }
        state.bytes.set(chunk, state.size);
        state.size = size;
      },
      read: (offset, length) => memorySource(written(), name).read(offset, length),
      sha256: async () => hex(new Uint8Array(await crypto.subtle.digest('SHA-256', written()))),
      commit: async () => {
        files.set(key, written());
        partials.delete(key);
        await release();
      },
      release,
    };
  };

  return {
    locate,
    open: async (key) => {
      const bytes = files.get(checkKey(key));
      return bytes && memorySource(bytes, locate(key));
    },
    begin,
    remove: async (key) => {
      files.delete(checkKey(key));
      if (!holders.has(key)) partials.delete(key);
    },
  };
}

function waitFor(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
  });
}
