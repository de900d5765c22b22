import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../../../test/support/cli.ts';
import { createLoadingGate, forgetGate, passGate } from './loading-gate.ts';

test('the end of a process waits for a load that has begun', async () => {
  const script = fileURLToPath(new URL('../../../test/support/gate-exit.js', import.meta.url));
  const ended = await collect(spawn(process.execPath, [script]));
  assert.deepEqual(ended, { code: 0, stdout: 'loaded', stderr: '' });
});

test('a gate lets one load through, failed or not, and none once it is closed', async () => {
  const listeners = process.listenerCount('exit');
  const gate = createLoadingGate();
  await assert.rejects(
    passGate(gate, async () => {
      throw new RangeError('no such library');
    }),
    RangeError,
  );
  assert.equal(await passGate(gate, async () => 1), undefined);
  const open = createLoadingGate();
  assert.equal(await passGate(open, async () => 2), 2);
  assert.equal(process.listenerCount('exit'), listeners + 1);
  forgetGate(gate);
  forgetGate(open);
  assert.equal(process.listenerCount('exit'), listeners);
});
