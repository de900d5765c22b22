/** Rows in pages of headless Chromium: one page each, in a process of its own, cross-origin isolated. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../../test/browser/chromium.ts';
import { servePages } from '../../test/browser/serve.ts';
import { missingRival, rivalPath } from '../adapters/adapter.ts';
import type { RowProcess } from '../row-process.ts';
import type { Row } from '../rows.ts';
import type { TimeRequest } from '../runners/runner.ts';
import type { BenchPage } from './page.ts';
import type { PageJob } from './page-job.ts';

const built = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const html = (rivals: string): string =>
  [
    '<!doctype html><meta charset="utf-8"><title>benchmark</title><link rel="icon" href="data:,">',
    `<script type="importmap">{"imports":{"@litertjs/wasm-utils":"${rivals}@litertjs/wasm-utils/dist/index.js"}}</script>`,
    '<script type="module" src="page.js"></script>',
  ].join('');

const packages: Readonly<Record<string, readonly string[]>> = {
  onnxruntimeWeb: ['onnxruntime-web'],
  litert: ['@litertjs/core'],
  tfjsWasm: ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'],
};

async function bundle(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: {
      page: built('./page.js'),
      'threads-worker': built('../../src/platform/browser/threads-worker.js'),
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: '/page',
    write: false,
    logLevel: 'silent',
  });
  return new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
}

export interface PageRows {
  /** E.g. `Chromium 156.0`. */
  readonly browser: string;
  /** Loads a row, or says why it cannot run. */
  readonly start: (row: Row) => Promise<RowProcess | string>;
  readonly close: () => Promise<void>;
}

/** @param folder of the models' files */
export async function openPageRows(folder: string): Promise<PageRows> {
  const scripts = await bundle();
  const read = (name: string): Uint8Array | undefined => {
    const [place, ...path] = name.split('/');
    if (name === 'index.html') return new TextEncoder().encode(html('./rivals/'));
    const roots = new Map([
      ['models', folder],
      ['rivals', rivalPath('')],
    ]);
    const root = roots.get(place ?? '');
    if (root === undefined) return scripts.get(name);
    const file = join(root, ...path);
    return existsSync(file) ? readFileSync(file) : undefined;
  };
  const server = await servePages(read);
  const browser = await launchChromium();
  return {
    browser: `Chromium ${browser.version()}`,
    start: (row) => startRow(browser, (name) => server.address(name, true), row),
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

async function startRow(
  browser: Browser,
  address: (name: string) => string,
  { engine, variant, threads }: Row,
): Promise<RowProcess | string> {
  const missing = (packages[engine.adapter] ?? []).map(missingRival).find((reason) => reason !== undefined);
  if (missing !== undefined) return missing;
  const page = await browser.newPage();
  const call = <K extends keyof BenchPage>(
    name: K,
    argument: unknown,
  ): Promise<Awaited<ReturnType<BenchPage[K]>>> =>
    page.evaluate(`mobileoneBench.${name}(${JSON.stringify(argument)})`);
  const job: PageJob = {
    ...{ adapter: engine.adapter, variant, threads, target: engine.options.target },
    ...{ models: address('models/'), rivals: address('rivals/') },
  };
  try {
    await page.goto(address('index.html'));
    await page.waitForFunction('globalThis.mobileoneBench !== undefined');
    const { info, logits } = await call('load', job);
    return {
      pid: undefined,
      info,
      logits: Float32Array.from(logits),
      time: (request: TimeRequest) => call('time', request),
      end: () => void page.close(),
    };
  } catch (error) {
    await page.close();
    return error instanceof Error ? error.message : String(error);
  }
}
