/** The CPU engine in headless Chromium, in pages that may share memory and in pages that may not. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import type { PageResult } from './support/cpu-page.ts';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

async function bundle(path: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [local(path)],
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0]?.text ?? '';
}

describe('engine cpu in a page', { skip: executablePath ? false : 'chromium is not installed' }, () => {
  let browser: Browser;
  let server: Server;
  const files = new Map<string, string>();
  before(async () => {
    files.set('/page.js', await bundle('./support/cpu-page.js'));
    files.set('/helper.js', await bundle('../src/platform/browser/threads-worker.js'));
    const html = '<!doctype html><script type="module" src="/page.js"></script>';
    server = createServer(({ url = '/' }, response) => {
      const { pathname, searchParams } = new URL(url, 'http://page');
      const script = files.get(pathname);
      response.setHeader('content-type', script === undefined ? 'text/html' : 'text/javascript');
      if (!searchParams.has('open')) {
        response.setHeader('cross-origin-opener-policy', 'same-origin');
        response.setHeader('cross-origin-embedder-policy', 'require-corp');
      }
      response.end(script ?? html);
    }).listen(0, '127.0.0.1');
    browser = await chromium.launch({
      ...(executablePath ? { executablePath } : {}),
      args: ['--no-sandbox'],
    });
  });
  after(async () => {
    await browser.close();
    server.close();
  });

  async function run(query: string): Promise<{ results: readonly PageResult[]; said: readonly string[] }> {
    const { port } = server.address() as AddressInfo;
    const page = await browser.newPage();
    const said: string[] = [];
    page.on('console', (message) => said.push(message.text()));
    await page.goto(`http://127.0.0.1:${port}/${query}`);
    await page.waitForFunction('globalThis.mobileOneResults !== undefined');
    const results = await page.evaluate(() => globalThis.mobileOneResults('/helper.js'));
    await page.close();
    return { results, said };
  }

  for (const [query, what, most] of [
    ['', 'cross-origin isolated', 3],
    ['?open', 'not isolated', 1],
  ] as const)
    test(`${what}: right on every target, up to ${most} threads`, async () => {
      const { results, said } = await run(query);
      assert.equal(results.length, 6);
      for (const { target, asked, threads, relative, sameEachTime } of results) {
        assert.equal(threads, Math.min(asked, most));
        assert.ok(relative <= 1e-5 && sameEachTime, `${target}, ${asked} threads: ${relative}`);
      }
      assert.equal(said.filter((line) => line.includes('one thread')).length, most === 1 ? 1 : 0);
    });
});
