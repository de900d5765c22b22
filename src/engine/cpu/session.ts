import type { KernelId, LoadedCode, Machine, MachineMemory } from '../../assembler/machine.ts';
import { CONTROL, CONTROL_BYTES, STEP_BYTES } from '../../assembler/runner-layout.ts';
import { EngineError } from '../../errors.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../../graph/graph.ts';
import type { HostWork, KernelSpec } from '../../kernel/plan/plan.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { NamedTensors, Session, TaskProfile } from '../engine.ts';
import type { MachineProvider } from './machine-provider.ts';
import {
  emitKernels,
  floatsOf,
  type ImageLayout,
  layOutImage,
  wordsOf,
  writeImage,
  writeSlot,
} from './memory-image.ts';
import { type Placement, place } from './placement.ts';
import type { Program, Task } from './program.ts';
import { checkOutputs, copyIn, copyOut, makePort, type Port } from './tensor-ports.ts';
import type { ServedCode, ThreadPool } from './thread-pool.ts';

/**
 * How long threads look for work before they sleep. Natively some 0.1 ms: longer than most tiles, for who sleeps is
 * woken late and often beside the thread that wakes it, on one processor. No longer, for beside a busy process a thread
 * that sleeps now and then gets its turn sooner: with 0.2 ms two threads of AVX2 were slower there than one. In WebAssembly
 * about 50 µs.
 */
const SPINS = { native: 200_000, wasm: 20_000 } as const;
/** How long a helper sleeps in emitted code before it parks: short, as nothing else can reach it there. */
const IDLE_MILLISECONDS = 20;

export interface SessionParts {
  readonly graph: CheckedGraph;
  readonly parameters: ReadonlyMap<ValueId, Tensor>;
  readonly program: Program;
  readonly provider: MachineProvider;
  readonly threads: number;
  readonly pool: ThreadPool | undefined;
  readonly profile: boolean;
}

/** Everything a session holds that must be freed. */
interface Held {
  readonly machine: Machine;
  readonly code: LoadedCode;
  readonly memory: MachineMemory;
}

/** Lays out memory, emits and loads code, writes the image, and wires up the threads. */
export function createSession(parts: SessionParts): Session {
  const { graph, parameters, program, provider } = parts;
  const placement = place(graph, program, parameters);
  const outputs = [...graph.outputs, ...graph.updates.map(({ parameter }) => ({ value: parameter }))].map(
    ({ value }) => value,
  );
  const layout = layOutImage(program, placement, parameters, outputs);
  if (layout.bytes > provider.maximumBytes)
    throw new EngineError(
      `engine cpu: graph "${graph.name}" needs ${layout.bytes} bytes, target ${provider.target.name} allows ${provider.maximumBytes}; use a smaller batch or picture.`,
      { needed: layout.bytes, limit: provider.maximumBytes },
    );
  const { held, kernels, codeBytes } = build(parts, layout);
  try {
    const image = { program, placement, layout, parameters, kernels, code: held.code } as const;
    const stepCounts = writeImage(held.memory, {
      ...image,
      numbering: parts.profile ? 'by-task' : 'through',
    });
    return wire(parts, held, { layout, placement, stepCounts, codeBytes });
  } catch (error) {
    free(held);
    throw error;
  }
}

function build(
  { program, provider, threads }: SessionParts,
  layout: ImageLayout,
): { held: Held; kernels: ReadonlyMap<KernelSpec, KernelId>; codeBytes: number } {
  const machine = provider.create(layout.bytes, threads > 1);
  try {
    const builder = machine.builder();
    const kernels = emitKernels(program, builder);
    const { codeBytes } = builder;
    const code = machine.load(builder);
    try {
      return { held: { machine, code, memory: machine.allocate(layout.bytes) }, kernels, codeBytes };
    } catch (error) {
      code.dispose();
      throw error;
    }
  } catch (error) {
    machine.dispose();
    throw error;
  }
}

function free({ machine, code, memory }: Held): void {
  code.dispose();
  memory.free();
  machine.dispose();
}

interface Ready {
  readonly layout: ImageLayout;
  readonly placement: Placement;
  readonly stepCounts: readonly number[];
  readonly codeBytes: number;
}

function wire(parts: SessionParts, held: Held, ready: Ready): Session {
  const { graph, program, provider, threads, profile } = parts;
  const { memory } = held;
  // Of the program only this is kept: plans of a step of training take tens of megabytes.
  const tasks = program.tasks.map(({ name, ops, plan }) => ({ name, ops, flops: plan.flops }));
  const ports = portsOf(parts, memory, ready);
  const runner = makeRunner(parts, held, ready);
  const taskMs = profile ? tasks.map(() => 0) : [];
  let runs = 0;
  let disposed = false;
  const runSync = (inputs: NamedTensors, outputs?: NamedTensors): NamedTensors => {
    if (disposed) throw new EngineError(`engine cpu: graph "${graph.name}" was disposed; compile it again.`);
    checkOutputs(graph.name, [...ports.outputs, ...ports.before], outputs);
    copyIn(graph.name, ports.inputs, inputs);
    const before = copyOut(ports.before, outputs);
    if (profile) runner.timed(taskMs);
    else runner.all();
    runs++;
    return { ...before, ...copyOut(ports.outputs, outputs) };
  };
  const flops = tasks.reduce((sum, task) => sum + task.flops, 0);
  const target = provider.target.name;
  return {
    run: async (inputs, outputs) => runSync(inputs, outputs),
    runSync,
    state: () => {
      if (disposed)
        throw new EngineError(`engine cpu: graph "${graph.name}" was disposed; its state is gone.`);
      return new Map(ports.state.map(({ name, shape, values }) => [name, { shape, data: values.slice() }]));
    },
    profile: () =>
      taskMs.map((milliseconds, i): TaskProfile => {
        const { name, ops, flops } = tasks[i] ?? { name: '', ops: '', flops: 0 };
        return { name, ops, milliseconds, runs, flops };
      }),
    info: {
      target,
      threads,
      memoryBytes: ready.layout.bytes,
      activationBytes: ready.placement.bytes,
      codeBytes: ready.codeBytes,
      flops,
    },
    dispose: () => {
      if (disposed) return;
      disposed = true;
      runner.release(() => free(held));
    },
  };
}

interface Ports {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Outputs that are parameters which a run changes: what they held before it is asked for. */
  readonly before: readonly Port[];
  /** The parameters that a run changes. */
  readonly state: readonly Port[];
}

function offsetOf(program: Program, { layout, placement }: Ready, value: ValueId): number {
  const stored = program.homes.get(program.storage(value)) ?? program.storage(value);
  const inArena = placement.values.get(stored);
  const offset =
    layout.parameters.get(stored) ?? (inArena === undefined ? undefined : layout.arena + inArena);
  if (offset === undefined)
    throw new EngineError(`engine cpu: value #${value} was given no place in memory.`);
  return offset;
}

function portsOf({ graph, program }: SessionParts, memory: MachineMemory, ready: Ready): Ports {
  const port = (name: string, value: ValueId): Port => {
    const { shape } = valueAt(graph, value);
    return makePort(memory, name, shape, offsetOf(program, ready, value), elementCount(shape));
  };
  const updated = new Set(graph.updates.map(({ parameter }) => parameter));
  const isUpdated = ({ value }: { readonly value: ValueId }): boolean => updated.has(program.storage(value));
  const named = (value: ValueId): Port => port(valueAt(graph, value).name, value);
  return {
    inputs: graph.inputs.map(named),
    outputs: graph.outputs.filter((each) => !isUpdated(each)).map(({ name, value }) => port(name, value)),
    before: graph.outputs.filter(isUpdated).map(({ name, value }) => port(name, value)),
    state: [...updated].map(named),
  };
}

interface Runner {
  readonly all: () => void;
  /** Runs task by task and adds each one's time to its place. */
  readonly timed: (milliseconds: number[]) => void;
  readonly release: (whenLeft: () => void) => void;
}

/** Steps that run without a stop, and what JavaScript does then. */
interface Stretch {
  readonly steps: number;
  readonly count: number;
  readonly host: (() => ReturnType<HostWork>) | undefined;
}

function stretchesOf(parts: SessionParts, memory: MachineMemory, ready: Ready): readonly Stretch[] {
  const stretches: Stretch[] = [];
  let steps = memory.address + ready.layout.steps;
  let count = 0;
  parts.program.tasks.forEach((task, i) => {
    count += ready.stepCounts[i] ?? 0;
    const host = hostWork(parts, memory, ready, task);
    if (host === undefined) return;
    stretches.push({ steps, count, host });
    steps += count * STEP_BYTES;
    count = 0;
  });
  if (count > 0 || stretches.length === 0) stretches.push({ steps, count, host: undefined });
  return stretches;
}

function hostWork(
  { graph, program }: SessionParts,
  memory: MachineMemory,
  ready: Ready,
  { plan: { host }, inputs, outputs }: Task,
): Stretch['host'] {
  if (host === undefined) return undefined;
  const view = (value: ValueId): Float32Array =>
    floatsOf(memory, offsetOf(program, ready, value), elementCount(valueAt(graph, value).shape));
  const [from, to] = [inputs.map(view), outputs.map(view)];
  return () => host(from, to);
}

function makeRunner(parts: SessionParts, { code, memory, machine }: Held, ready: Ready): Runner {
  const { threads, pool } = parts;
  const { layout, stepCounts } = ready;
  const firstSteps = memory.address + layout.steps;
  const stretches = stretchesOf(parts, memory, ready);
  const hosts = parts.program.tasks.map((task) => hostWork(parts, memory, ready, task));
  const control = wordsOf(memory, 0, CONTROL_BYTES);
  const setSteps = (steps: number, count: number): void => {
    writeSlot(control, CONTROL.steps, steps);
    writeSlot(control, CONTROL.stepCount, count);
  };
  let served: ServedCode | undefined;
  if (threads > 1 && pool) {
    writeSlot(control, CONTROL.spins, SPINS[machine.kind]);
    writeSlot(control, CONTROL.mayWait, pool.mayWait ? 1 : 0);
    writeSlot(control, CONTROL.idleMilliseconds, IDLE_MILLISECONDS);
    writeSlot(control, CONTROL.twoEnded, threads === 2 && machine.kind === 'native' ? 1 : 0);
    setSteps(firstSteps, layout.stepCount);
    const setStop = (stop: 0 | 1): void => void Atomics.store(control, CONTROL.stop / 4, stop);
    served = pool.register(code, memory.address, setStop, threads - 1);
  }
  const run = (steps: number, count: number): void => {
    if (served === undefined) code.runAlone(steps, count);
    else {
      setSteps(steps, count);
      served.summon();
      code.runShared(memory.address);
    }
  };
  return {
    all: () => {
      for (const { steps, count, host } of stretches) {
        if (count > 0 || host === undefined) run(steps, count);
        if (host?.() === 'end') return;
      }
    },
    timed: (milliseconds) => {
      let steps = firstSteps;
      for (const [i, count] of stepCounts.entries()) {
        const start = performance.now();
        if (count > 0) run(steps, count);
        const end = hosts[i]?.();
        milliseconds[i] = (milliseconds[i] ?? 0) + performance.now() - start;
        if (end === 'end') return;
        steps += count * STEP_BYTES;
      }
    },
    release: (whenLeft) => {
      if (served) served.release(whenLeft);
      else whenLeft();
    },
  };
}
