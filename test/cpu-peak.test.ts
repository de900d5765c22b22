import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measurePeak } from '../src/engine/cpu/peak.ts';
import { EngineError } from '../src/errors.ts';
import { nodeCpuParts } from '../src/platform/node/cpu-engine.ts';

/** Four multiply-adds a cycle at 10 GHz, of each lane: more means that the work was left out. */
const impossible = (lanes: number, threads: number): number => 2 * 4 * 10 * lanes * threads;

test('the peak of every target, on one thread and on two, is what a processor can do', async () => {
  const parts = await nodeCpuParts();
  assert.ok(parts.machines.length > 0);
  for (const { target } of parts.machines)
    for (const threads of [1, 2]) {
      const peak = await measurePeak(parts, { target: target.name, threads, precision: 'f32' });
      const what = `${target.name}, ${threads} threads: ${peak} GFLOP/s`;
      assert.ok(peak > 0 && peak < impossible(target.lanes, threads), what);
    }
});

test('bf16 has a peak of its own where the processor has such instructions', async () => {
  const parts = await nodeCpuParts();
  for (const { target } of parts.machines) {
    const peak = await measurePeak(parts, { target: target.name, threads: 1, precision: 'bf16' });
    assert.ok(peak > 0 && peak < 64 * impossible(target.lanes, 1), `${target.name}: ${peak} GFLOP/s`);
  }
  const unknown = { target: 'mmx', threads: 1, precision: 'f32' } as const;
  await assert.rejects(measurePeak(parts, unknown), EngineError);
});
