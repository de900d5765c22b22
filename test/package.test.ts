/** The package as npm would publish it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as v from 'valibot';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const manifestSchema = v.object({
  exports: v.record(v.string(), v.unknown()),
  bin: v.record(v.string(), v.string()),
  dependencies: v.record(v.string(), v.string()),
});
const packSchema = v.tuple([
  v.object({ filename: v.string(), files: v.array(v.object({ path: v.string() })) }),
]);

const manifest = v.parse(manifestSchema, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));

/** Every file that an entry of `exports` leads to. */
function exportPaths(entry: unknown): readonly string[] {
  if (typeof entry === 'string') return [entry];
  return typeof entry === 'object' && entry !== null ? Object.values(entry).flatMap(exportPaths) : [];
}

/** The lists of conditions, outermost first. */
function conditionLists(entry: unknown): readonly (readonly string[])[] {
  if (typeof entry !== 'object' || entry === null) return [];
  return [Object.keys(entry), ...Object.values(entry).flatMap(conditionLists)];
}

const entries = ['mobileone', 'mobileone/node', 'mobileone/browser', 'mobileone/core'];

describe('the packed package', () => {
  let folder: string;
  let files: readonly string[];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mobileone-package-'));
    // Without scripts: `prepare` would build anew under the feet of the tests.
    const options = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const { stdout } = await run('npm', options, { cwd: root });
    const [packed] = v.parse(packSchema, JSON.parse(stdout));
    files = packed.files.map(({ path }) => path);
    const modules = join(folder, 'node_modules');
    await mkdir(join(modules, 'mobileone'), { recursive: true });
    const target = ['-C', join(modules, 'mobileone'), '--strip-components=1'];
    await run('tar', ['-xzf', join(folder, packed.filename), ...target]);
    // Only what the manifest declares, so that an undeclared import fails.
    for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
      await mkdir(dirname(join(modules, name)), { recursive: true });
      await symlink(join(root, 'node_modules', name), join(modules, name));
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('holds its entries, licence, notices and sources; no tests, fixtures or benchmarks', () => {
    for (const name of ['package.json', 'README.md', 'LICENSE', 'NOTICE.md', 'src/index.ts'])
      assert.ok(files.includes(name), name);
    const unwanted = /\.test\.|\.platform\.|fixtures|^(test|bench|scripts)\/|^dist\/(test|bench|scripts)/;
    assert.deepEqual(
      files.filter((path) => unwanted.test(path)),
      [],
    );
  });

  test('every path of exports and bin is there, types first', () => {
    const paths = [...exportPaths(manifest.exports), ...Object.values(manifest.bin)];
    const missing = paths
      .map((path) => path.replace(/^\.\//, ''))
      .filter((path) => !files.includes(path) || !existsSync(join(folder, 'node_modules/mobileone', path)));
    assert.deepEqual(missing, []);
    for (const conditions of conditionLists(manifest.exports))
      assert.ok(!conditions.includes('types') || conditions[0] === 'types', conditions.join());
  });

  test('source maps lead to the sources that are in it, and bring those of dependencies along', () => {
    for (const path of files.filter((name) => name.endsWith('.js.map'))) {
      const file = join(folder, 'node_modules/mobileone', path);
      const { sources, sourcesContent = [] } = v.parse(
        v.object({
          sources: v.array(v.string()),
          sourcesContent: v.optional(v.array(v.nullable(v.string()))),
        }),
        JSON.parse(readFileSync(file, 'utf8')),
      );
      for (const [i, source] of sources.entries())
        assert.ok(
          source.includes('/node_modules/') ? sourcesContent[i] : existsSync(join(dirname(file), source)),
          `${path}: ${source}`,
        );
    }
  });

  test('types compile for a user in NodeNext and with a bundler', async () => {
    const program = `${entries.map((name, i) => `import * as e${i} from '${name}';`).join('\n')}
export const config: e0.MobileOneConfig = e1.mobileOneConfig('s0');
export const used = [e2.inferenceModel, e3.buildMobileOne];
`;
    await writeFile(join(folder, 'user.ts'), program);
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const common = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'es2022',
      '--types',
      'node',
      'user.ts',
    ];
    for (const [module, resolution] of [
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ] as const) {
      const choice = ['--module', module, '--moduleResolution', resolution];
      const result = await run(process.execPath, [compiler, ...choice, ...common], { cwd: folder }).then(
        () => '',
        (error: { stdout?: string }) => error.stdout ?? String(error),
      );
      assert.equal(result, '', module);
    }
  });

  test('threads load pictures from the packed files', async () => {
    const script = `
import { createLoader, createNodePool, encodePng, evalTransforms, memoryFiles, openData } from 'mobileone';
const png = await encodePng({ width: 8, height: 8, data: new Uint8Array(192).fill(9) });
const files = memoryFiles('photos', new Map(['a/1.png', 'b/2.png'].map((path) => [path, png])));
const { train } = await openData(files, { holdOut: 0 });
const pool = await createNodePool({ workers: 1, decoder: 'portable' });
const pictures = { kind: 'eval', transform: evalTransforms.apple };
for await (const { images, indices } of createLoader(train, pool, { batchSize: 2, pictures }).epoch(0))
  console.log(images.length, indices.join());`;
    await writeFile(join(folder, 'loader.mjs'), script);
    const { stdout } = await run(process.execPath, ['loader.mjs'], { cwd: folder });
    assert.equal(stdout.trim(), `${2 * 224 * 224 * 3} 0,1`);
  });

  test('every entry runs a net in Node with nothing but declared dependencies', async () => {
    const script = `
for (const name of ${JSON.stringify(entries)}) {
  const m = await import(name);
  const config = m.mobileOneConfig('s0', { widths: [0.25, 0.25, 0.25, 0.25], pairs: [1, 1, 1, 1], classes: 3 });
  const graph = m.buildMobileOne(config, { form: 'deploy', height: 32, width: 32 });
  const engine = m.nodePlatform ? await m.nodePlatform().engine() : m.referenceEngine;
  const session = await engine.compile(graph, m.initialWeights(graph, 'apple', 1));
  const { logits } = await session.run({ image: { shape: [1, 32, 32, 3], data: new Float32Array(3072).fill(1) } });
  session.dispose();
  console.log(name, logits.data.length, logits.data.every(Number.isFinite));
}`;
    await writeFile(join(folder, 'user.mjs'), script);
    const { stdout } = await run(process.execPath, ['user.mjs'], { cwd: folder });
    assert.deepEqual(
      stdout.trim().split('\n'),
      entries.map((name) => `${name} 3 true`),
    );
  });
});
