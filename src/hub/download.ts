import { HubError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import { contentFault } from './content-check.ts';
import { describeFault, type Fetch, httpFault } from './http.ts';
import type { CacheStore, PartialFile } from './store.ts';
import { type DownloadProgress, transfer } from './transfer.ts';

export interface DownloadOptions {
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** How often one address is tried again after a passing fault; default 4. */
  readonly retries?: number;
  /** First pause before trying again; it doubles each time; default 500 ms. */
  readonly backoffMs?: number;
  /** Give up on a connection that brings no byte for so long; default 30 s. */
  readonly stallMs?: number;
  /** Refuse larger files; default 1 GiB. */
  readonly maxBytes?: number;
}

export interface DownloadRequest {
  /** Name in the cache. */
  readonly file: string;
  /** Addresses in the order to try. */
  readonly urls: readonly string[];
  /** First hex digits of the file's SHA-256, or all 64. */
  readonly sha256Prefix?: string;
}

/** One address or place that was tried, and what came of it. */
export interface Attempt {
  readonly from: string;
  readonly fault: string;
}

export type DownloadResult =
  | { readonly file: ByteSource; readonly attempts: readonly Attempt[] }
  | { readonly file: undefined; readonly attempts: readonly Attempt[] };

/** The cached file of this name if it is there and looks like weights; a fault if it is there and does not. */
export async function openCached(
  store: CacheStore,
  name: string,
): Promise<{ readonly file?: ByteSource; readonly fault?: string }> {
  const file = await store.open(name);
  if (!file) return {};
  const fault = await contentFault(file);
  return fault === undefined ? { file } : { fault };
}

/**
 * Brings a file into the cache: from each address in turn, continuing what an earlier run left, and only after its
 * size, its content and (where known) its hash were checked. Two callers of one file do not download it twice.
 * @returns the file, or undefined with what was tried when no address gave it
 * @throws the signal's reason when aborted; HubError when the cache cannot be written
 */
export async function download(
  store: CacheStore,
  request: DownloadRequest,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  const attempts: Attempt[] = [];
  const partial = await store.begin(request.file, options.signal);
  try {
    // Someone else may have finished it while this call waited.
    const finished = (await openCached(store, request.file)).file;
    if (finished) return { file: finished, attempts };
    for (const url of request.urls) {
      const fault = await downloadFrom(url, partial, request, options);
      if (fault !== undefined) {
        attempts.push({ from: url, fault });
        continue;
      }
      await partial.commit();
      const file = await store.open(request.file);
      if (file) return { file, attempts };
      attempts.push({ from: url, fault: 'the cache lost the file at once' });
    }
    return { file: undefined, attempts };
  } finally {
    await partial.release();
  }
}

/** Tries one address until it gives the right file (undefined) or will not (the last fault). */
async function downloadFrom(
  url: string,
  partial: PartialFile,
  request: DownloadRequest,
  options: DownloadOptions,
): Promise<string | undefined> {
  const { signal, onProgress, retries = 4, backoffMs = 500 } = options;
  const transferOptions = {
    fetch: options.fetch ?? ((address: string, init: RequestInit) => globalThis.fetch(address, init)),
    signal,
    stallMs: options.stallMs ?? 30_000,
    maxBytes: options.maxBytes ?? 2 ** 30,
    onReceived: (received: number, total: number | undefined) =>
      onProgress?.({ file: request.file, url, received, total }),
  };
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const earlier = partial.size;
    try {
      await transfer(url, partial, transferOptions);
      await verify(partial, request, earlier > 0);
      return undefined;
    } catch (error) {
      const outcome = outcomeOf(error);
      if (outcome.next === 'stop') throw error;
      signal?.throwIfAborted();
      if (outcome.next === 'next' || attempt >= retries) {
        const times = attempt > 0 ? `, after ${attempt + 1} attempts` : '';
        return `${describeFault(error)}${times}`;
      }
      await pause(outcome.waitMs ?? backoffMs * 2 ** attempt * (0.75 + Math.random() / 2), signal);
    }
  }
}

/** A fault that names no outcome (a full disk, an exception of the caller's callback) ends everything. */
function outcomeOf(error: unknown): { next: 'again' | 'next' | 'stop'; waitMs?: number } {
  if (!(error instanceof HubError)) return { next: 'stop' };
  const { outcome, waitMs } = error.details;
  if (outcome !== 'again' && outcome !== 'next') return { next: 'stop' };
  return { next: outcome, ...(typeof waitMs === 'number' ? { waitMs } : {}) };
}

/** Drops the bytes and throws when they are not the file; after a continued transfer one fresh start may help. */
async function verify(partial: PartialFile, request: DownloadRequest, continued: boolean): Promise<void> {
  const fault = (await contentFault(partial)) ?? (await hashFault(partial, request.sha256Prefix));
  if (fault === undefined) return;
  await partial.reset();
  throw httpFault(continued ? 'again' : 'next', fault, 0);
}

async function hashFault(partial: PartialFile, prefix: string | undefined): Promise<string | undefined> {
  if (prefix === undefined) return undefined;
  const found = await partial.sha256();
  if (found.startsWith(prefix.toLowerCase())) return undefined;
  return `its SHA-256 should start with ${prefix}, but is ${found} (${partial.size} bytes)`;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
