/** The CPU engine in processes of its own: nothing a user can do crashes it, nothing leaks, nothing keeps it alive. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { skipTarget } from './support/cpu.ts';

const script = (name: string): string => fileURLToPath(new URL(`./support/${name}.js`, import.meta.url));

async function runScript(
  name: string,
  args: readonly string[],
  nodeArgs: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(process.execPath, [...nodeArgs, script(name), ...args], {
    env,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

describe('misuse in a process of its own', () => {
  for (const seed of ['1', '2', '3'])
    test(`seed ${seed}: typed errors only`, async () => {
      const { ran, refused } = await runScript('cpu-misuse', [seed, '250']);
      assert.ok(Number(ran) > 200 && Number(refused) > 100, `${ran} ran, ${refused} refused`);
    });

  test('and without native code', async () => {
    const { ran, refused } = await runScript('cpu-misuse', ['4', '120'], [], {
      ...process.env,
      MOBILEONE_NATIVE: '0',
    });
    assert.ok(Number(ran) > 50 && Number(refused) > 50, `${ran} ran, ${refused} refused`);
  });
});

test('sleeping helpers keep no process alive', async () => {
  const { elapsed } = await runScript('cpu-exit', []);
  assert.ok(Number(elapsed) >= 0);
});

describe('memory stays flat', { concurrency: true }, () => {
  // A session leaked in each cycle would be forty of them. The collector's own tides are a few, as the process
  // warms up; helpers keep WebAssembly memories of disposed sessions for a while (16 of this size).
  for (const [target, threads, sessions] of [
    ['avx2', '1', 6],
    ['avx2', '2', 6],
    ['wasm', '2', 22],
  ] as const)
    test(`${target}, threads ${threads}`, { skip: skipTarget(target) }, async () => {
      const { runs, cycles, session } = await runScript('cpu-leaks', [target, threads], ['--expose-gc']);
      assert.ok(Number(runs) < 2e6, `1000 runs added ${runs} bytes`);
      assert.ok(Number(cycles) < sessions * Number(session), `40 cycles added ${cycles} bytes`);
    });
});
