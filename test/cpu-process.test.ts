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
  for (const [target, threads] of [
    ['avx2', '1'],
    ['avx2', '2'],
    ['wasm', '2'],
  ] as const)
    test(`${target}, threads ${threads}`, { skip: skipTarget(target) }, async () => {
      const { runs, cycles, session } = await runScript('cpu-leaks', [target, threads], ['--expose-gc']);
      assert.ok(Number(runs) < 250 * 1024, `every 250 runs add ${runs} bytes`);
      assert.ok(
        Number(cycles) < 5 * Number(session),
        `every 25 cycles add ${cycles} bytes, ${Number(cycles) / Number(session)} sessions`,
      );
    });
});
