import assert from 'node:assert/strict';
import type { TestMachine } from './machines.ts';
import type { Area } from './run-plan.ts';

const GUARD_WORDS = 32;
const GUARD = 0x7fa5a5a5; // a NaN

/** A buffer before a page that faults where there is one, with guard words before it; else guard words on both sides. */
export interface GuardedFloats {
  readonly area: Area;
  readonly floats: Float32Array;
  readonly check: (what: string) => void;
  readonly free: () => void;
}

export function guardedFloats(test: TestMachine, length: number): GuardedFloats {
  const native = test.machine.kind === 'native';
  const after = native ? 0 : GUARD_WORDS;
  const count = GUARD_WORDS + length + after;
  const memory = native ? test.guarded(count * 4) : test.machine.allocate(count * 4);
  const all = 'bytes' in memory ? memory.view(0, count * 4) : memory.view;
  const words = new Uint32Array(all.buffer, all.byteOffset, count).fill(GUARD);
  const end = GUARD_WORDS + length;
  return {
    area: {
      address: memory.address + GUARD_WORDS * 4,
      view: all.subarray(GUARD_WORDS * 4, end * 4),
    },
    floats: new Float32Array(all.buffer, all.byteOffset + GUARD_WORDS * 4, length),
    check(what) {
      const touched = words.findIndex((word, i) => (i < GUARD_WORDS || i >= end) && word !== GUARD);
      assert.equal(touched, -1, `${what}: guard word ${touched} beside ${length} was overwritten`);
    },
    free: () => memory.free(),
  };
}
