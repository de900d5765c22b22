import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const built = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Compiled scripts that a page loads: itself, and what it starts as workers, by the names they are served under. */
const entries: Readonly<Record<string, string>> = {
  page: built('./page.js'),
  'threads-worker': built('../../src/platform/browser/threads-worker.js'),
  'loader-worker': built('../../src/platform/browser/loader-worker.js'),
};

export interface PageBundle {
  /** Everything the page loads, by file name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Names of modules that the scripts import and that are not in them. */
  readonly imports: readonly string[];
}

/** The test page as a user's bundler would make it, and the JPEG decoder's WebAssembly beside it. */
export async function bundlePage(): Promise<PageBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: entries,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: '/page',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const jpeg = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm');
  const html = [
    '<!doctype html><meta charset="utf-8"><title>mobileone</title><link rel="icon" href="data:,">',
    '<script type="module" src="page.js"></script>',
  ].join('');
  return {
    files: new Map([
      ['index.html', new TextEncoder().encode(html)],
      ['jpeg.wasm', readFileSync(jpeg)],
      ...outputFiles.map(({ path, contents }) => [basename(path), contents] as const),
    ]),
    imports: Object.values(metafile.outputs).flatMap(({ imports }) =>
      imports.filter(({ external }) => external).map(({ path }) => path),
    ),
  };
}
