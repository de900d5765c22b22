/** What a page downloads to run nets: engine, kernels and helper threads, without labels, codecs and checkpoints. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const mostBytes = 60_000;
const built = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const mostTrainingBytes = 80_000;

test('the engine in a page: under 60 kB gzip, kernels included, nothing of Node or x86-64', (t) =>
  check(t, 'cpu-engine', mostBytes));

test('the training engine in a page: under 80 kB gzip', (t) =>
  check(t, 'training-engine', mostTrainingBytes));

async function check(t: TestContext, module: string, most: number): Promise<void> {
  const { outputFiles, metafile } = await build({
    entryPoints: {
      engine: built(`../src/platform/browser/${module}.js`),
      helper: built('../src/platform/browser/threads-worker.js'),
    },
    outdir: '/page',
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const sizes = outputFiles.map(({ path, contents }) => ({
    name: basename(path),
    minified: contents.length,
    gzip: gzipSync(contents, { level: 9 }).length,
  }));
  const used = Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : []));
  assert.ok(
    used.some((path) => path.includes('kernel/')),
    'kernels are in it',
  );
  assert.deepEqual(
    used.filter((path) => /assembler\/x64|platform\/node|hub\/|image\/|format\//.test(path)),
    [],
  );
  const total = sizes.reduce((sum, { gzip }) => sum + gzip, 0);
  for (const { name, minified, gzip } of sizes)
    t.diagnostic(`${name}: ${minified} bytes minified, ${gzip} gzip`);
  assert.ok(total < most, `${total} bytes`);
}
