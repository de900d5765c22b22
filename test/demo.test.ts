import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from './support/cli.ts';

test('the demonstration, small: learns, fuses, answers, reports', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mobileone-demo-'));
  try {
    const script = fileURLToPath(new URL('../scripts/demo.js', import.meta.url));
    const args = [script, '--quick', '--out', 'run'];
    const { code, stdout, stderr } = await collect(spawn(process.execPath, args, { cwd: folder }));
    assert.equal(code, 0, stderr);
    assert.match(stdout, /epoch 2\/2/);
    const difference = Number(/probabilities differ by at most (\S+)\.\n/.exec(stdout)?.[1]);
    assert.ok(difference < 1e-4, `${difference}`);
    assert.match(stdout, /It was drawn as a \w+\./);
    assert.ok(!stdout.includes('\x1b'), 'no colours without a terminal');
    const files = await readdir(join(folder, 'run'));
    for (const name of ['model.safetensors', 'last.safetensors', 'metrics.csv', 'report.html'])
      assert.ok(files.includes(name), name);
    const page = await readFile(join(folder, 'run', 'report.html'), 'utf8');
    for (const words of ['Confusion matrix', 'ms a picture', 'data:image/png'])
      assert.ok(page.includes(words), words);
  } finally {
    await rm(folder, { recursive: true });
  }
});

for (const [task, score] of [
  ['detect', 'mAP50'],
  ['segment', 'mIoU'],
] as const)
  test(`the demonstration of heads, small: ${task}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mobileone-demo-'));
    try {
      const script = fileURLToPath(new URL('../scripts/demo-heads.js', import.meta.url));
      const args = [script, task, '--quick', '--out', 'run'];
      const { code, stdout, stderr } = await collect(spawn(process.execPath, args, { cwd: folder }));
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`\n${score} +\\d+\\.\\d+% in epoch 1\n`));
      const files = await readdir(join(folder, 'run'));
      for (const name of ['model.safetensors', 'metrics.csv', 'report.html'])
        assert.ok(files.includes(name), name);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
