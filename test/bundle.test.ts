/** What a page downloads to run nets: the engine with every kernel, without labels, codecs and checkpoints. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const mostBytes = 60_000;
const dist = fileURLToPath(new URL('../src', import.meta.url));

/** The engine as a page composes it; types keep these names true. */
const entry = `
  export { createCpuEngine } from './engine/cpu/cpu-engine.js';
  export { createThreadPool } from './engine/cpu/shared-pool.js';
  export { wasmProviders } from './platform/wasm-provider.js';
`;

test('the engine in a page: under 60 kB gzip, kernels included, nothing of Node or x86-64', async (t) => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: entry, resolveDir: dist },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const [script] = outputFiles;
  assert.ok(script !== undefined);
  const bytes = gzipSync(script.contents, { level: 9 }).length;
  const [inputs = {}] = Object.values(metafile.outputs).map((output) => output.inputs);
  const used = Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
    bytesInOutput > 0 ? [path] : [],
  );
  assert.ok(
    used.some((path) => path.includes('kernel/')),
    'kernels are in it',
  );
  assert.deepEqual(
    used.filter((path) => /assembler\/x64|platform\/node|hub\/|image\/|format\//.test(path)),
    [],
  );
  t.diagnostic(`${script.contents.length} bytes minified, ${bytes} gzip`);
  assert.ok(bytes < mostBytes, `${bytes} bytes`);
});
