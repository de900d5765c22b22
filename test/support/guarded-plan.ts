/** Runs a task plan with every buffer between guard words or before a page that faults, for kernel tests. */
import assert from 'node:assert/strict';
import type { TaskPlan } from '../../src/kernel/plan/plan.ts';
import { type GuardedBytes, type GuardedFloats, guardedBytes, guardedFloats } from './guarded-floats.ts';
import type { TestMachine } from './machines.ts';
import { loadPlan } from './run-plan.ts';

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

/** The same for a plan of several outputs, none of which overwrites an input. */
export function runGuardedOutputs(
  test: TestMachine,
  plan: TaskPlan,
  inputs: readonly Float32Array[],
  outputLengths: readonly number[],
): readonly Float32Array[] {
  const all: GuardedFloats[] = [];
  const guarded = (length: number): GuardedFloats => {
    const floats = guardedFloats(test, length);
    all.push(floats);
    return floats;
  };
  const given = inputs.map((input) => guarded(input.length));
  for (const [i, { floats }] of given.entries()) floats.set(inputs[i] ?? []);
  const outputs = outputLengths.map(guarded);
  const [output = guarded(0).area, ...others] = outputs.map(({ area }) => area);
  const buffers = { inputs: given.map(({ area }) => area), output, others };
  const loaded = loadPlan(test.machine, plan, buffers, (bytes) => guarded(bytes / 4).area);
  loaded.run();
  loaded.run();
  const results = outputs.map(({ floats }) => floats.slice());
  for (const each of all) each.check(test.name);
  for (const [i, { floats }] of given.entries())
    assert.deepEqual(floats, inputs[i], `${test.name}: input ${i} was changed`);
  loaded.free();
  for (const each of all) each.free();
  return results;
}

/** f32, or bf16 as its bits. */
export type Numbers = Float32Array | Uint16Array;

const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Runs a plan twice on operands of any storage, and writes what its output then holds. */
export function runGuardedInto(
  test: TestMachine,
  plan: TaskPlan,
  inputs: readonly Numbers[],
  output: Numbers,
): void {
  const all: GuardedBytes[] = [];
  const guarded = (length: number) => {
    const bytes = guardedBytes(test, length);
    all.push(bytes);
    return bytes.area;
  };
  const areas = inputs.map((input) => guarded(input.byteLength));
  for (const [i, { view }] of areas.entries()) view.set(bytesOf(inputs[i] ?? output));
  const result = guarded(output.byteLength);
  const loaded = loadPlan(test.machine, plan, { inputs: areas, output: result }, guarded);
  loaded.run();
  loaded.run();
  bytesOf(output).set(result.view);
  for (const each of all) each.check(test.name);
  for (const [i, input] of inputs.entries())
    assert.deepEqual(areas[i]?.view, bytesOf(input), `${test.name}: input ${i} was changed`);
  loaded.free();
  for (const each of all) each.free();
}
