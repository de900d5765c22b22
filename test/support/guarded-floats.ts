import assert from 'node:assert/strict';
import type { TestMachine } from './machines.ts';
import type { Area } from './run-plan.ts';

const GUARD_BYTES = 128;
const GUARD = [0xa5, 0xa5, 0xa5, 0x7f]; // a NaN

/** A buffer before a page that faults where there is one, with guard bytes before it; else guard bytes on both sides. */
export interface GuardedBytes {
  readonly area: Area;
  readonly check: (what: string) => void;
  readonly free: () => void;
}

export function guardedBytes(test: TestMachine, length: number): GuardedBytes {
  const native = test.machine.kind === 'native';
  const end = GUARD_BYTES + length;
  const count = end + (native ? 0 : GUARD_BYTES);
  const memory = native ? test.guarded(count) : test.machine.allocate(count);
  const all = 'bytes' in memory ? memory.view(0, count) : memory.view;
  for (const i of all.keys()) all[i] = GUARD[i % 4] ?? 0;
  return {
    area: { address: memory.address + GUARD_BYTES, view: all.subarray(GUARD_BYTES, end) },
    check(what) {
      const touched = all.findIndex((byte, i) => (i < GUARD_BYTES || i >= end) && byte !== GUARD[i % 4]);
      assert.equal(touched, -1, `${what}: guard byte ${touched} beside ${length} was overwritten`);
    },
    free: () => memory.free(),
  };
}

export interface GuardedFloats extends GuardedBytes {
  readonly floats: Float32Array;
}

export function guardedFloats(test: TestMachine, length: number): GuardedFloats {
  const guarded = guardedBytes(test, length * 4);
  const { buffer, byteOffset } = guarded.area.view;
  return { ...guarded, floats: new Float32Array(buffer, byteOffset, length) };
}
