import { HubError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';

/** Where the bytes of a partial file came from, so that only the same bytes are ever continued. */
export interface PartialOrigin {
  readonly url: string;
  /** Strong ETag or Last-Modified, as `If-Range` takes it; without one a download starts over. */
  readonly validator?: string;
  /** Size of the whole file in bytes, where the server said it. */
  readonly total?: number;
}

/** A file on its way into the cache, held exclusively until `commit` or `release`. */
export interface PartialFile {
  /** Bytes written so far. */
  readonly size: number;
  readonly origin: PartialOrigin | undefined;
  /** Drops every byte and remembers where the next ones come from. */
  reset(origin?: PartialOrigin): Promise<void>;
  append(chunk: Uint8Array): Promise<void>;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Lower-case hex SHA-256 of everything written. */
  sha256(): Promise<string>;
  /** Makes the file visible under its key at once and whole, and lets go of it. */
  commit(): Promise<void>;
  /** Lets go of it; bytes that can be continued later stay, others are removed. No effect after `commit`. */
  release(): Promise<void>;
}

/** Where downloaded files are kept. A key is a plain file name. Faults of the storage itself are `HubError`s. */
export interface CacheStore {
  /** Where the file of this key lies or would lie, for a person to read. */
  locate(key: string): string;
  /** The file of this key, or undefined when it is not there (yet). */
  open(key: string): Promise<ByteSource | undefined>;
  /** Starts or continues the file of this key; waits while someone else is writing it. */
  begin(key: string, signal?: AbortSignal): Promise<PartialFile>;
  /** Removes the file of this key and any partial one. */
  remove(key: string): Promise<void>;
}

/** @throws HubError when `key` could name anything but a file directly inside the cache */
export function checkKey(key: string): string {
  if (/^[\w-][\w.-]{0,200}$/.test(key)) return key;
  throw new HubError(`hub: "${key}" cannot name a cached file; letters, digits, ".", "_" and "-" can.`, {
    key,
  });
}

/** Whether bytes that came from `origin` can be continued another time. */
export function canContinue(origin: PartialOrigin | undefined, size: number): boolean {
  return size > 0 && origin?.validator !== undefined;
}
