import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newerNodes, noNewerNode } from '../support/node-binaries.ts';

const runner = fileURLToPath(new URL('../../../scripts/test.mjs', import.meta.url));

/** Test files whose path has one of these words: everything that computes. */
const engineTests = [
  'assembler/',
  'kernel/',
  'engine/',
  'platform/',
  'op-cases',
  'apple-s0',
  'cpu-',
  'load-classifier',
];

/** The test runner under another Node. @returns its exit code and the line that counts tests */
function runUnder(node: string): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    // A test process tells its children by this variable that their output is read by it.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    execFile(node, [runner, ...engineTests], { env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}\n${stderr}` });
    });
  });
}

describe('tests of the engines under newer Nodes', () => {
  const nodes = newerNodes().filter(({ version }) => version !== process.version);
  test('there is one to run', { skip: nodes.length === 0 && noNewerNode }, () => {
    assert.ok(nodes.length > 0);
  });
  for (const { path, version } of nodes)
    test(version, async (t) => {
      const { code, output } = await runUnder(path);
      const counts = /^\d+ passed, \d+ failed, \d+ skipped$/m.exec(output)?.[0];
      assert.ok(counts !== undefined && code === 0, output.slice(-6000));
      t.diagnostic(`${version}: ${counts}`);
    });
});
