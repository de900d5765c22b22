import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = (request: IncomingMessage, response: ServerResponse, times: number) => void;

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
}

export interface UnrulyServer {
  readonly address: string;
  /** Every request so far, in order. */
  readonly seen: readonly SeenRequest[];
  close(): Promise<void>;
}

/** A server on the loopback whose paths answer as told; `times` counts earlier requests of the same path. */
export async function startUnrulyServer(answers: Readonly<Record<string, Answer>>): Promise<UnrulyServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const times = seen.filter((earlier) => earlier.path === path).length;
    seen.push({ path, range: request.headers.range });
    const answer = answers[path];
    if (answer) answer(request, response, times);
    else response.writeHead(404).end('nothing here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface FileAnswer {
  readonly etag?: string;
  /** Sends only so many bytes of the body; the connection is cut when `cutConnections` says they arrived. */
  readonly cutAfter?: number;
  readonly ignoreRange?: boolean;
}

const waitingForCut: { readonly response: ServerResponse; readonly at: number }[] = [];

/** Cuts every connection whose last byte the client has; cutting earlier could lose bytes still under way. */
export function cutConnections(received: number): void {
  for (const { response, at } of waitingForCut) if (received === at) response.destroy();
}

/** Serves `bytes` as a proper server does, ranges included, or cuts off where told. */
export function serve(bytes: Uint8Array, options: FileAnswer = {}): Answer {
  return (request, response) => {
    const first = options.ignoreRange
      ? 0
      : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = bytes.subarray(first);
    response.writeHead(first > 0 ? 206 : 200, {
      'content-length': body.length,
      ...(options.etag ? { etag: options.etag } : {}),
      ...(first > 0 ? { 'content-range': `bytes ${first}-${bytes.length - 1}/${bytes.length}` } : {}),
    });
    if (options.cutAfter === undefined || options.cutAfter >= body.length) response.end(body);
    else {
      response.write(body.subarray(0, options.cutAfter));
      waitingForCut.push({ response, at: first + options.cutAfter });
    }
  };
}
