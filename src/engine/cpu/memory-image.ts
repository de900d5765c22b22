import type { CodeBuilder, KernelId, LoadedCode, MachineMemory } from '../../assembler/machine.ts';
import { CONTROL_BYTES, STEP, STEP_BYTES } from '../../assembler/runner-layout.ts';
import { EngineError } from '../../errors.ts';
import type { ValueId } from '../../graph/graph.ts';
import {
  type BufferName,
  evenCalls,
  type KernelCall,
  type KernelSpec,
  type Slot,
  type TileStep,
  writeConstant,
} from '../../kernel/plan/plan.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { alignUp } from './arena.ts';
import type { Placement } from './placement.ts';
import type { Program, Task } from './program.ts';

/**
 * All memory of a session in one piece, written once:
 *
 *     control block | steps | tile records | constants of tasks, parameters read as tensors | arena
 *
 * A task's steps stand together, so that each task can also be run, and timed, alone.
 */
export interface ImageLayout {
  readonly steps: number;
  readonly stepCount: number;
  readonly records: number;
  /** One offset per constant of each task. */
  readonly constants: readonly (readonly number[])[];
  readonly parameters: ReadonlyMap<ValueId, number>;
  readonly arena: number;
  readonly bytes: number;
}

const LINE = 64;
const SLOT_BYTES = 8;

export function layOutImage(
  program: Program,
  placement: Placement,
  parameters: ReadonlyMap<ValueId, Tensor>,
  outputs: readonly ValueId[],
): ImageLayout {
  let next = alignUp(CONTROL_BYTES, LINE);
  const take = (bytes: number): number => {
    const offset = next;
    next = alignUp(offset + bytes, LINE);
    return offset;
  };
  const steps = program.tasks.flatMap(({ plan }) => plan.steps);
  const stepsAt = take(steps.length * STEP_BYTES);
  const records = take(
    steps.map(evenCalls).reduce((sum, { calls }) => sum + calls.length * strideOf(calls), 0),
  );
  const constants = program.tasks.map(({ plan }) => plan.constants.map(({ length }) => take(length)));
  const read = new Set([
    ...program.tasks.flatMap((task) => [...task.inputs, ...task.outputs]),
    ...program.homes.values(),
    ...outputs.map(program.storage),
  ]);
  const places = new Map<ValueId, number>();
  for (const [value, { data }] of parameters) if (read.has(value)) places.set(value, take(data.length * 4));
  const arena = take(placement.bytes);
  return {
    steps: stepsAt,
    stepCount: steps.length,
    records,
    constants,
    parameters: places,
    arena,
    bytes: next,
  };
}

/** Bytes from one record of a step to the next. */
function strideOf(calls: readonly KernelCall[]): number {
  const slots = calls.reduce((most, call) => Math.max(most, call.slots.length), 0);
  return (slots + 1) * SLOT_BYTES;
}

/** Emits every kernel of a program once. Names are long: tiles that share a kernel find it without comparing them. */
export function emitKernels(program: Program, builder: CodeBuilder): ReadonlyMap<KernelSpec, KernelId> {
  const ids = new Map<KernelSpec, KernelId>();
  for (const { plan } of program.tasks)
    for (const step of plan.steps)
      for (const { kernel } of evenCalls(step).calls)
        if (!ids.has(kernel)) ids.set(kernel, builder.kernel(kernel.name, kernel.generate));
  return ids;
}

export interface ImageParts {
  readonly program: Program;
  readonly placement: Placement;
  readonly layout: ImageLayout;
  readonly parameters: ReadonlyMap<ValueId, Tensor>;
  readonly kernels: ReadonlyMap<KernelSpec, KernelId>;
  readonly code: LoadedCode;
  /** Tiles are numbered through from one piece of host work to the next, or within each task where tasks are run one by one. */
  readonly numbering: 'through' | 'by-task';
}

/** Writes everything but the control block and the arena. @returns how many steps each task has */
export function writeImage(memory: MachineMemory, parts: ImageParts): readonly number[] {
  const { program, placement, layout, parameters, numbering } = parts;
  writeConstants(memory, parts);
  const at = (value: ValueId): number => {
    const constant = layout.parameters.get(program.homes.get(value) ?? value);
    const offset = constant ?? layout.arena + (placement.values.get(value) ?? Number.NaN);
    if (Number.isNaN(offset)) throw new EngineError(`engine cpu: value #${value} has no memory.`);
    return offset;
  };
  for (const [value, offset] of layout.parameters)
    floatsOf(memory, offset, parameters.get(value)?.data.length ?? 0).set(parameters.get(value)?.data ?? []);
  const cursor = { step: layout.steps, record: layout.records, tiles: 0 };
  return program.tasks.map((task, index) => {
    if (numbering === 'by-task' || program.tasks[index - 1]?.plan.host) cursor.tiles = 0;
    const address = addressing(memory, task, index, parts, at);
    for (const step of task.plan.steps) writeStep(memory, step, cursor, parts, address);
    return task.plan.steps.length;
  });
}

export function floatsOf(memory: MachineMemory, offset: number, count: number): Float32Array {
  const { buffer, byteOffset } = memory.view(offset, count * 4);
  return new Float32Array(buffer, byteOffset, count);
}

function writeConstants(memory: MachineMemory, { program, layout }: ImageParts): void {
  program.tasks.forEach(({ plan }, index) => {
    plan.constants.forEach((constant, i) => {
      writeConstant(constant, memory.view(layout.constants[index]?.[i] ?? 0, constant.length));
    });
  });
}

/** Address of a task's buffer by name. */
function addressing(
  memory: MachineMemory,
  task: Task,
  index: number,
  { layout, placement }: ImageParts,
  at: (value: ValueId) => number,
): (buffer: BufferName) => number {
  const known = new Map<string, number>([
    ...task.outputs.map((value, i): [string, number] => [i === 0 ? 'output' : `output${i}`, at(value)]),
    ['scratch', layout.arena + (placement.scratch[index] ?? 0)],
    ...task.inputs.map((value, i): [string, number] => [`input${i}`, at(value)]),
    ...(layout.constants[index] ?? []).map((offset, i): [string, number] => [`constant${i}`, offset]),
  ]);
  return (buffer) => {
    const offset = known.get(buffer);
    if (offset === undefined)
      throw new EngineError(`engine cpu: ${task.ops} "${task.name}" has no ${buffer}.`);
    return memory.address + offset;
  };
}

function writeStep(
  memory: MachineMemory,
  step: TileStep,
  cursor: { step: number; record: number; tiles: number },
  { code, kernels }: ImageParts,
  address: (buffer: BufferName) => number,
): void {
  const { perTile, calls } = evenCalls(step);
  const stride = strideOf(calls);
  cursor.tiles += step.length;
  const header = wordsOf(memory, cursor.step, STEP_BYTES);
  writeSlot(header, STEP.endTile, cursor.tiles);
  writeSlot(header, STEP.records, memory.address + cursor.record);
  writeSlot(header, STEP.recordStride, stride);
  writeSlot(header, STEP.calls, perTile);
  const records = wordsOf(memory, cursor.record, calls.length * stride);
  calls.forEach((call, i) => {
    writeRecord(records, i * stride, call, code.entry(kernelId(kernels, call)), address);
  });
  cursor.step += STEP_BYTES;
  cursor.record += calls.length * stride;
}

function kernelId(kernels: ReadonlyMap<KernelSpec, KernelId>, { kernel }: KernelCall): KernelId {
  const id = kernels.get(kernel);
  if (id === undefined) throw new EngineError(`engine cpu: kernel ${kernel.name} was not emitted.`);
  return id;
}

function writeRecord(
  words: Uint32Array,
  offset: number,
  { slots }: KernelCall,
  entry: number,
  address: (buffer: BufferName) => number,
): void {
  const value = (slot: Slot): number =>
    typeof slot === 'number' ? slot : address(slot.buffer) + slot.offset;
  writeSlot(words, offset, entry);
  slots.forEach((slot, i) => {
    writeSlot(words, offset + (i + 1) * SLOT_BYTES, value(slot));
  });
}

export function wordsOf(memory: MachineMemory, offset: number, bytes: number): Uint32Array {
  const view = memory.view(offset, bytes);
  return new Uint32Array(view.buffer, view.byteOffset, bytes / 4);
}

/** A 64-bit slot, little endian, two's complement. @param offset bytes */
export function writeSlot(words: Uint32Array, offset: number, value: number): void {
  words[offset / 4] = value;
  words[offset / 4 + 1] = Math.floor(value / 2 ** 32);
}
