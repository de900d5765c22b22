// Puts the library for Node and the command into a few files: some two hundred small modules take longer to load than
// a net takes to compile. Types, the browser's entry and the tests use the modules as they are.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
// Taken in: every import of the library reads them, in thirty small modules.
const taken = ['valibot', '@bufbuild/protobuf'];
const external = Object.keys({ ...dependencies, ...optionalDependencies }).filter(
  (name) => !taken.includes(name),
);

await build({
  absWorkingDir: root,
  entryPoints: {
    node: 'dist/src/node.js',
    core: 'dist/src/index.js',
    cli: 'dist/src/cli/main.js',
    'threads-worker': 'dist/src/platform/node/threads-worker.js',
    'loader-worker': 'dist/src/platform/node/loader-worker.js',
  },
  outdir: 'dist/lib/node',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: [...external, 'onnxruntime-node'],
  legalComments: 'eof',
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  logLevel: 'warning',
});
