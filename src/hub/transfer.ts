import { HubError } from '../errors.ts';
import {
  contentLength,
  contentRange,
  describeFault,
  type Fetch,
  fetchFollowing,
  httpFault,
  statusFault,
  validatorOf,
} from './http.ts';
import { canContinue, type PartialFile, type PartialOrigin } from './store.ts';

export interface DownloadProgress {
  /** Name of the file in the cache. */
  readonly file: string;
  readonly url: string;
  /** Bytes here so far, those of an earlier run included. */
  readonly received: number;
  /** Size of the whole file in bytes, where the server said it. */
  readonly total: number | undefined;
}

export interface TransferOptions {
  readonly fetch: Fetch;
  readonly signal: AbortSignal | undefined;
  /** Give up on a connection that brings no byte for so long. */
  readonly stallMs: number;
  /** Refuse more than this: no checkpoint is so large, but a broken server may never end. */
  readonly maxBytes: number;
  readonly onReceived: (received: number, total: number | undefined) => void;
}

/**
 * One request for the rest of `partial` (or all of it) from `url`. Earlier bytes are continued only when they came
 * from this address and the server confirms with their validator that the file is still the same.
 * @throws HubError with an outcome when the transfer fails; what arrived stays in `partial`
 */
export async function transfer(url: string, partial: PartialFile, options: TransferOptions): Promise<void> {
  const { origin } = partial;
  const continuing = origin?.url === url && canContinue(origin, partial.size);
  if (continuing && origin.total === partial.size) return;
  const watchdog = createWatchdog(options.stallMs, options.signal);
  try {
    // The validator is compared on arrival: `If-Range` would need a preflight that few servers answer to a browser.
    const headers = {
      'accept-encoding': 'identity',
      ...(continuing ? { range: `bytes=${partial.size}-` } : {}),
    };
    const response = await passing(
      fetchFollowing(options.fetch, url, { headers, signal: watchdog.signal }),
      options.signal,
    );
    watchdog.touch();
    const total = await agreeOnStart(response, url, partial, continuing ? origin : undefined);
    if (total !== undefined && total > options.maxBytes) {
      throw httpFault(
        'next',
        `the file should have ${total} bytes; more than ${options.maxBytes} are refused`,
      );
    }
    await receive(response, partial, total, watchdog, options);
  } finally {
    watchdog.stop();
  }
}

/** Decides from the headers whether the body continues `partial` or replaces it; returns the whole file's size. */
async function agreeOnStart(
  response: Response,
  url: string,
  partial: PartialFile,
  continued: PartialOrigin | undefined,
): Promise<number | undefined> {
  const startOver = async (why: string) => {
    await response.body?.cancel();
    await partial.reset();
    return httpFault('again', why, 0);
  };
  if (response.status === 416) throw await startOver('the server has no such range (HTTP 416)');
  const fault = statusFault(response);
  if (fault) {
    await response.body?.cancel();
    throw fault;
  }
  const validator = validatorOf(response.headers);
  if (response.status === 206) {
    const range = contentRange(response.headers);
    const same = continued?.validator === validator && (continued?.total ?? range?.total) === range?.total;
    if (!continued || !same || range?.first !== partial.size) {
      throw await startOver('the server sent a part that does not continue the earlier one');
    }
    return range.total;
  }
  const total = contentLength(response.headers);
  await partial.reset({
    url,
    ...(validator === undefined ? {} : { validator }),
    ...(total === undefined ? {} : { total }),
  });
  return total;
}

async function receive(
  response: Response,
  partial: PartialFile,
  total: number | undefined,
  watchdog: Watchdog,
  options: TransferOptions,
): Promise<void> {
  options.onReceived(partial.size, total);
  const reader = response.body?.getReader();
  try {
    while (reader) {
      const part = await passing(reader.read(), options.signal);
      if (part.done) break;
      if (partial.size + part.value.length > Math.min(options.maxBytes, total ?? options.maxBytes)) {
        throw httpFault('next', `the server sent more than the ${total ?? options.maxBytes} bytes expected`);
      }
      await partial.append(part.value);
      watchdog.touch();
      options.onReceived(partial.size, total);
    }
  } catch (error) {
    // Without waiting: cancelling a connection that has already failed rejects or hangs.
    reader?.cancel().catch(() => undefined);
    throw error;
  }
  if (total !== undefined && partial.size !== total) {
    throw httpFault('again', `the connection ended after ${partial.size} of ${total} bytes`);
  }
}

/** A fault of the connection itself may pass; only the caller's own abort and our verdicts go through as they are. */
async function passing<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted || error instanceof HubError) throw error;
    throw httpFault('again', describeFault(error));
  }
}

interface Watchdog {
  readonly signal: AbortSignal;
  touch(): void;
  stop(): void;
}

/** A signal that fires with the user's own, or when `touch` was not called for `ms`. */
function createWatchdog(ms: number, outer: AbortSignal | undefined): Watchdog {
  const stalled = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  const touch = () => {
    stop();
    timer = setTimeout(() => {
      stalled.abort(httpFault('again', `no data for ${ms / 1000} s`));
    }, ms);
  };
  touch();
  return { signal: outer ? AbortSignal.any([outer, stalled.signal]) : stalled.signal, touch, stop };
}
