import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { builtInModels } from '../src/hub/built-in.ts';
import { loadClassifier } from '../src/node.ts';
import { type CliFolder, createCliFolder, pictureFile } from './support/cli.ts';
import { golden, skipWithout } from './support/shared.ts';

const modelFile = (path: string): string => fileURLToPath(new URL(`../../models/${path}`, import.meta.url));

interface Stated {
  readonly forms: readonly { readonly top1: number; readonly top5: number }[];
}

describe('built-in models', () => {
  for (const { name, file } of builtInModels)
    test(`${name}: loads by name, knows its classes, and is small`, async () => {
      assert.ok(statSync(modelFile(file)).size < 3e6);
      const net = await loadClassifier(name, { hub: { offline: true } });
      assert.equal(net.net.metadata.labels?.length, 20);
      const { top } = await net.classify(pictureFile(3, 160, 120));
      assert.equal(top.length, 5);
      net.dispose();
    });

  test('predict without a model answers offline and says what it knows', async () => {
    const folder: CliFolder = await createCliFolder();
    await writeFile(join(folder.path, 'photo.png'), pictureFile(5, 160, 160));
    const { code, stdout } = await folder.run(['predict', 'photo.png', '--offline']);
    assert.equal(code, 0);
    assert.match(stdout, /knows 20 kinds of fruit, vegetables and\s+cartons/);
    await folder.remove();
  });

  test('its stated accuracy is what the photos give', {
    skip: skipWithout('data', 'cls-grocery'),
  }, async () => {
    const stated = JSON.parse(readFileSync(modelFile('grocery/validation.json'), 'utf8')) as Stated;
    const folder = await createCliFolder();
    const { code, stdout } = await folder.run([
      'val',
      modelFile('grocery/model.safetensors'),
      golden('data', 'cls-grocery'),
      '--json',
    ]);
    assert.equal(code, 0);
    const found = JSON.parse(stdout) as Stated;
    assert.equal(found.forms[0]?.top1, stated.forms[0]?.top1);
    assert.equal(found.forms[0]?.top5, stated.forms[0]?.top5);
    await folder.remove();
  });
});
