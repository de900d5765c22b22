/** Runs a task plan with every buffer between guard words or before a page that faults, for kernel tests. */
import assert from 'node:assert/strict';
import type { TaskPlan } from '../../src/kernel/plan.ts';
import type { TestMachine } from './machines.ts';
import { type Area, loadPlan } from './run-plan.ts';

const GUARD_WORDS = 32;
const GUARD = 0x7fa5a5a5; // a NaN

interface GuardedFloats {
  readonly area: Area;
  readonly floats: Float32Array;
  readonly check: (what: string) => void;
  readonly free: () => void;
}

function guardedFloats(test: TestMachine, length: number): GuardedFloats {
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

/**
 * @param inputs contents of input0, input1, …
 * @param over the input that is also the output
 * @returns what the output holds after two runs of the plan (one where an input is overwritten)
 */
export function runGuarded(
  test: TestMachine,
  plan: TaskPlan,
  inputs: readonly Float32Array[],
  outputLength: number,
  over?: number,
): Float32Array {
  const guarded = inputs.map((input) => guardedFloats(test, input.length));
  for (const [i, each] of guarded.entries()) each.floats.set(inputs[i] ?? []);
  const shared = over === undefined ? undefined : guarded[over];
  const output = shared ?? guardedFloats(test, outputLength);
  const constants: GuardedFloats[] = [];
  const buffers = { inputs: guarded.map((each) => each.area), output: output.area };
  const loaded = loadPlan(test.machine, plan, buffers, (bytes) => {
    const constant = guardedFloats(test, bytes / 4);
    constants.push(constant);
    return constant.area;
  });
  loaded.run();
  if (shared === undefined) loaded.run();
  const result = output.floats.slice();
  const all = [...new Set([...guarded, output, ...constants])];
  for (const each of all) each.check(test.name);
  guarded.forEach((each, i) => {
    if (each !== shared) assert.deepEqual(each.floats, inputs[i], `${test.name}: input ${i} was changed`);
  });
  loaded.free();
  for (const each of all) each.free();
  return result;
}
