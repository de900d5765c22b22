import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  wasm: 'application/wasm',
};

/** What makes a page cross-origin isolated, so that it may share memory between threads. */
const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

export interface PageServer {
  /** Of a file, under the headers of an isolated page or without them. */
  readonly address: (name: string, isolated: boolean) => string;
  readonly close: () => Promise<void>;
}

/** Serves files on 127.0.0.1, once under `/isolated/` and once under `/plain/`. @param read a file by its name */
export async function servePages(read: (name: string) => Uint8Array | undefined): Promise<PageServer> {
  const server = createServer((request, response) => {
    const [, folder, name = ''] = /^\/(isolated|plain)\/(.+)$/.exec(request.url ?? '') ?? [];
    const body = read(name);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, ...(folder === 'isolated' ? isolation : {}) });
    response.end(body);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: (name, isolated) => `http://127.0.0.1:${port}/${isolated ? 'isolated' : 'plain'}/${name}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
