import { HubError } from '../errors.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** What a failed request means for the ones that could follow. Any other error ends the whole download. */
export type Outcome =
  | 'again' // the same address may answer later
  | 'next'; // this address will not help; another might

const redirects = new Set([301, 302, 303, 307, 308]);
const maxRedirects = 10;

export function httpFault(outcome: Outcome, message: string, waitMs?: number): HubError {
  return new HubError(message, { outcome, waitMs });
}

/**
 * Follows redirects by hand, so that their number is bounded and none leads from https to anything weaker.
 * A browser does not show redirects; there it follows them itself and only the last address is checked.
 */
export async function fetchFollowing(fetch: Fetch, url: string, init: RequestInit): Promise<Response> {
  let at = url;
  for (let hops = 0; hops <= maxRedirects; hops++) {
    const response = await fetch(at, { ...init, redirect: 'manual' });
    if (response.type === 'opaqueredirect') {
      const followed = await fetch(at, { ...init, redirect: 'follow' });
      checkHop(at, followed.url || at);
      return followed;
    }
    if (!redirects.has(response.status)) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (!location) throw httpFault('next', `HTTP ${response.status} without a Location header`);
    const next = URL.canParse(location, at) ? new URL(location, at).href : undefined;
    if (!next) throw httpFault('next', `redirect to "${location}", which is not an address`);
    checkHop(at, next);
    at = next;
  }
  throw httpFault('next', `more than ${maxRedirects} redirects, the last to ${at}`);
}

function checkHop(from: string, to: string): void {
  const [before, after] = [new URL(from).protocol, new URL(to).protocol];
  if (after === 'https:' || (after === 'http:' && before === 'http:')) return;
  throw httpFault('next', `redirect from ${before}// to ${to} refused`);
}

/** The status as a fault with its outcome, or undefined for 200 and 206. */
export function statusFault(response: Response): HubError | undefined {
  const { status } = response;
  if (status === 200 || status === 206) return undefined;
  const passing = status === 408 || status === 425 || status === 429 || status >= 500;
  const said = `HTTP ${status} ${response.statusText}`.trimEnd();
  return httpFault(passing ? 'again' : 'next', said, retryAfterMs(response.headers.get('retry-after')));
}

/** `Retry-After` as milliseconds from now, at most a minute. */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 60_000) : undefined;
}

/** What `If-Range` may carry for this response: a strong ETag, else Last-Modified. */
export function validatorOf(headers: Headers): string | undefined {
  const etag = headers.get('etag');
  if (etag?.startsWith('"')) return etag;
  return headers.get('last-modified') ?? undefined;
}

/** `Content-Range: bytes first-last/total`; total is undefined when the server gave `*`. */
export function contentRange(headers: Headers): { first: number; total: number | undefined } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  if (!match) return undefined;
  return { first: Number(match[1]), total: match[2] === '*' ? undefined : Number(match[2]) };
}

/** The body's length in bytes, unless the server compressed it or did not say. */
export function contentLength(headers: Headers): number | undefined {
  const encoding = headers.get('content-encoding') ?? 'identity';
  const value = headers.get('content-length');
  return encoding === 'identity' && value !== null && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** One line for a person: the innermost cause of a failed request says most ("ENOTFOUND", "ECONNREFUSED"). */
export function describeFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof HubError || !(error.cause instanceof Error)) return error.message;
  const code = 'code' in error.cause ? `${String(error.cause.code)}: ` : '';
  return `${error.message} (${code}${error.cause.message})`;
}
