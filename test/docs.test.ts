import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = ['src', 'test', 'bench', 'scripts']
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, String(name))),
  )
  .filter((name) => /\.(ts|mjs)$/.test(name));
const code = sources.map(read).join('\n');

test('every name in ARCHITECTURE.md is a real symbol, file or folder', () => {
  const external = new Set([
    'vdpbf16ps',
    "precision: 'bf16'",
    'tsc',
    'sharp',
    'koffi',
    'node:*',
    'code',
    'mobileone',
  ]);
  const unknown: string[] = [];
  for (const [, name = ''] of read('ARCHITECTURE.md').matchAll(/`([^`]+)`/g)) {
    if (external.has(name) || existsSync(join(root, name)) || existsSync(join(root, 'src', name))) continue;
    const known = name
      .split('.')
      .every((part) => new RegExp(`\\b${part.replace(/\W/g, '\\$&')}\\b`).test(code));
    if (!known) unknown.push(name);
  }
  assert.deepEqual(unknown, []);
});

test('links between documents lead to files', () => {
  for (const document of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'NOTICE.md'])
    for (const [, target = ''] of read(document).matchAll(/\]\(([^)#]+)\)/g))
      if (!target.includes('://')) assert.ok(existsSync(join(root, target)), `${document}: ${target}`);
});

test('npm scripts that documents name exist', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
  for (const document of ['README.md', 'CONTRIBUTING.md'])
    for (const [, name = ''] of read(document).matchAll(/npm run ([\w:-]+)/g))
      assert.ok(name in scripts, `${document}: ${name}`);
});
