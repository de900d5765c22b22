/** Lays a task plan out in a machine's memory and runs it on one thread, for kernel tests and benchmarks. */
import type { KernelId, Machine, MachineMemory } from '../../src/assembler/machine.ts';
import { STEP, STEP_BYTES } from '../../src/assembler/runner-layout.ts';
import { evenCalls, type Slot, type TaskPlan, writeConstant } from '../../src/kernel/plan/plan.ts';

/** Bytes that JavaScript and kernels see. */
export interface Area {
  readonly address: number;
  readonly view: Uint8Array;
}

export interface TaskBuffers {
  readonly inputs: readonly Area[];
  readonly output: Area;
  /** `output1`, `output2`, … */
  readonly others?: readonly Area[];
}

export interface RunnablePlan {
  readonly run: () => void;
  readonly codeBytes: number;
  readonly tiles: number;
  readonly free: () => void;
}

export function area(memory: MachineMemory): Area {
  return { address: memory.address, view: memory.view(0, memory.bytes) };
}

/** @param constantsIn memory for the plan's constants, where not the machine's own */
export function loadPlan(
  machine: Machine,
  plan: TaskPlan,
  buffers: TaskBuffers,
  constantsIn?: (bytes: number) => Area,
): RunnablePlan {
  const held: MachineMemory[] = [];
  const allocate = (bytes: number): MachineMemory => {
    const memory = machine.allocate(Math.max(64, bytes));
    held.push(memory);
    return memory;
  };
  const builder = machine.builder();
  const even = plan.steps.map(evenCalls);
  const ids = even.map(({ calls }) =>
    calls.map(({ kernel }) => builder.kernel(kernel.name, kernel.generate)),
  );
  const { codeBytes } = builder;
  const code = machine.load(builder);
  const constants = plan.constants.map((constant) => {
    const place = constantsIn?.(constant.length) ?? area(allocate(constant.length));
    writeConstant(constant, place.view.fill(0));
    return place;
  });
  const scratch = area(allocate(plan.scratchBytes));
  scratch.view.fill(0xff); // NaN in any type: nothing may count on what scratch memory holds
  const slotValue = (slot: Slot): number => {
    if (typeof slot === 'number') return slot;
    const base = slot.buffer.startsWith('output')
      ? [buffers.output, ...(buffers.others ?? [])][Number(slot.buffer.slice(6))]
      : slot.buffer === 'scratch'
        ? scratch
        : slot.buffer.startsWith('input')
          ? buffers.inputs[Number(slot.buffer.slice(5))]
          : constants[Number(slot.buffer.slice(8))];
    if (base === undefined) throw new RangeError(`plan: there is no buffer ${slot.buffer}`);
    return base.address + slot.offset;
  };
  const steps = allocate(plan.steps.length * STEP_BYTES);
  const stepView = new BigInt64Array((plan.steps.length * STEP_BYTES) / 8);
  let endTile = 0;
  for (const [s, { perTile, calls }] of even.entries()) {
    const width = 1 + Math.max(0, ...calls.map((call) => call.slots.length));
    const records = allocate(calls.length * width * 8);
    const words = new BigInt64Array(calls.length * width);
    for (const [c, call] of calls.entries()) {
      words[c * width] = BigInt(code.entry(ids[s]?.[c] ?? (0 as KernelId)));
      for (const [i, slot] of call.slots.entries()) words[c * width + 1 + i] = BigInt(slotValue(slot));
    }
    records.view(0, words.byteLength).set(new Uint8Array(words.buffer));
    endTile += calls.length / perTile;
    stepView[(s * STEP_BYTES + STEP.calls) / 8] = BigInt(perTile);
    stepView[(s * STEP_BYTES + STEP.endTile) / 8] = BigInt(endTile);
    stepView[(s * STEP_BYTES + STEP.records) / 8] = BigInt(records.address);
    stepView[(s * STEP_BYTES + STEP.recordStride) / 8] = BigInt(width * 8);
  }
  steps.view(0, stepView.byteLength).set(new Uint8Array(stepView.buffer));
  return {
    run: () => code.runAlone(steps.address, plan.steps.length),
    codeBytes,
    tiles: endTile,
    free() {
      code.dispose();
      for (const memory of held) memory.free();
    },
  };
}
