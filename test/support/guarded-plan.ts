/** Runs a task plan with every buffer between guard bytes or before a page that faults, for kernel tests. */
import assert from 'node:assert/strict';
import type { TaskPlan } from '../../src/kernel/plan.ts';
import type { TestMachine } from './machines.ts';
import { type Area, loadPlan } from './run-plan.ts';

const GUARD_BYTES = 128;
const GUARD = [0xa5, 0xa5, 0xa5, 0x7f]; // a NaN

/** f32, or bf16 as its bits. */
export type Numbers = Float32Array | Uint16Array;

interface Guarded {
  readonly area: Area;
  readonly bytes: Uint8Array;
  readonly check: (what: string) => void;
  readonly free: () => void;
}

function guarded(test: TestMachine, length: number): Guarded {
  const native = test.machine.kind === 'native';
  const end = GUARD_BYTES + length;
  const count = end + (native ? 0 : GUARD_BYTES);
  const memory = native ? test.guarded(count) : test.machine.allocate(count);
  const all = 'bytes' in memory ? memory.view(0, count) : memory.view;
  for (const i of all.keys()) all[i] = GUARD[i % 4] ?? 0;
  const bytes = all.subarray(GUARD_BYTES, end);
  return {
    area: { address: memory.address + GUARD_BYTES, view: bytes },
    bytes,
    check(what) {
      const touched = all.findIndex((byte, i) => (i < GUARD_BYTES || i >= end) && byte !== GUARD[i % 4]);
      assert.equal(touched, -1, `${what}: guard byte ${touched} beside ${length} was overwritten`);
    },
    free: () => memory.free(),
  };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Runs a plan twice and writes what its output then holds. The output's first content is that of `output`. */
export function runGuardedInto(
  test: TestMachine,
  plan: TaskPlan,
  inputs: readonly Numbers[],
  output: Numbers,
): void {
  const held = inputs.map((input) => guarded(test, input.byteLength));
  for (const [i, each] of held.entries()) each.bytes.set(bytesOf(inputs[i] ?? new Float32Array(0)));
  const result = guarded(test, output.byteLength);
  const run = load(test, plan, held, result);
  run.twice();
  bytesOf(output).set(result.bytes);
  inputs.forEach((input, i) => {
    const after = held[i]?.bytes;
    assert.ok(after && Buffer.compare(after, bytesOf(input)) === 0, `${test.name}: input ${i} was changed`);
  });
  run.finish();
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
  const output = new Float32Array(outputLength);
  if (over === undefined) {
    runGuardedInto(test, plan, inputs, output);
    return output;
  }
  const held = inputs.map((input) => guarded(test, input.byteLength));
  for (const [i, each] of held.entries()) each.bytes.set(bytesOf(inputs[i] ?? output));
  const shared = held[over] ?? guarded(test, 0);
  const run = load(test, plan, held, shared);
  run.once();
  bytesOf(output).set(shared.bytes);
  run.finish();
  return output;
}

interface Run {
  readonly once: () => void;
  readonly twice: () => void;
  /** Checks all guards and frees everything. */
  readonly finish: () => void;
}

function load(test: TestMachine, plan: TaskPlan, inputs: readonly Guarded[], output: Guarded): Run {
  const constants: Guarded[] = [];
  const buffers = { inputs: inputs.map((each) => each.area), output: output.area };
  const loaded = loadPlan(test.machine, plan, buffers, (bytes) => {
    const constant = guarded(test, bytes);
    constants.push(constant);
    return constant.area;
  });
  return {
    once: loaded.run,
    twice() {
      loaded.run();
      loaded.run();
    },
    finish() {
      const all = [...new Set([...inputs, output, ...constants])];
      for (const each of all) each.check(test.name);
      loaded.free();
      for (const each of all) each.free();
    },
  };
}
