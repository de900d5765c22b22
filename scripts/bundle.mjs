// Puts the library for Node and the command into a few files: some two hundred small modules take longer to load than
// a net takes to compile. Types, the browser's entry and the tests use the modules as they are.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

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
  packages: 'external',
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  logLevel: 'warning',
});
