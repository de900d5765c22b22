/**
 * The functions that walk steps and call kernels, as WebAssembly; runner-layout.ts says how threads share work.
 * Those for several threads exist only where memory is shared.
 */
import { CONTROL, STEP, STEP_BYTES } from '../runner-layout.ts';
import { ATOMIC, Emitter, I32, I64, OP } from './emitter.ts';
import type { FunctionType, ModuleFunction } from './module.ts';

/** Types of all functions in a module; kernels are of the first. */
export const functionTypes: readonly FunctionType[] = [
  { parameters: [I32], results: [] },
  { parameters: [I32], results: [I32] },
  { parameters: [I32, I32], results: [] },
  { parameters: [I32, I32, I32], results: [] },
  { parameters: [I32, I32, I32, I32], results: [] },
];
export const KERNEL_TYPE = 0;
const ANSWER_TYPE = 1;

const FOREVER = -1;

/** Locals: a step, the first record of a tile and, for use while it runs, the calls that are left. */
interface CallLocals {
  readonly step: number;
  readonly record: number;
  readonly left: number;
}

/** Makes all calls of a tile; `record` is behind its last one then. */
function callTile(e: Emitter, { step, record, left }: CallLocals): void {
  e.get(step);
  e.loadI32(STEP.calls);
  e.set(left);
  e.loop(() => {
    e.get(record);
    e.get(record);
    e.loadI32(0);
    e.callIndirect(KERNEL_TYPE);
    e.get(record);
    e.get(step);
    e.loadI32(STEP.recordStride);
    e.op(OP.i32Add);
    e.set(record);
    e.get(left);
    e.i32(1);
    e.op(OP.i32Subtract);
    e.tee(left);
    e.branchIf(0);
  });
}

/** call(kernel, record) */
function call(): ModuleFunction {
  const e = new Emitter(2);
  e.get(1);
  e.get(0);
  e.callIndirect(KERNEL_TYPE);
  return { type: 2, body: e, exportName: 'call' };
}

/** runAlone(steps, stepCount) */
function runAlone(): ModuleFunction {
  const e = new Emitter(2);
  const [steps, count] = [0, 1];
  const [tile, record] = [e.newLocal(I32), e.newLocal(I32)];
  const call: CallLocals = { step: steps, record, left: e.newLocal(I32) };
  const add = (local: number, push: () => void): void => {
    e.get(local);
    push();
    e.op(OP.i32Add);
    e.set(local);
  };
  e.block(() => {
    e.loop(() => {
      e.get(count);
      e.op(OP.i32Eqz);
      e.branchIf(1);
      e.get(steps);
      e.loadI32(STEP.records);
      e.set(record);
      e.block(() => {
        e.loop(() => {
          e.get(tile);
          e.get(steps);
          e.loadI32(STEP.endTile);
          e.op(OP.i32LessUnsigned, OP.i32Eqz);
          e.branchIf(1);
          callTile(e, call);
          add(tile, () => e.i32(1));
          e.branch(0);
        });
      });
      add(steps, () => e.i32(STEP_BYTES));
      add(count, () => e.i32(-1));
      e.branch(0);
    });
  });
  return { type: 2, body: e, exportName: 'runAlone' };
}

const control = 0;

function loadAtomic(e: Emitter, offset: number): void {
  e.get(control);
  e.atomic(ATOMIC.load32, offset);
}

function addAtomic(e: Emitter, offset: number, value: number): void {
  e.get(control);
  e.i32(value);
  e.atomic(ATOMIC.add32, offset);
}

function wakeAll(e: Emitter, offset: number): void {
  e.get(control);
  e.i32(-1);
  e.atomic(ATOMIC.notify, offset);
  e.op(OP.drop);
}

/**
 * waitDone(control, generation, tiles, mayWait): spins, then sleeps until so many tiles are done, or the run is
 * over, or for no reason: the caller asks again.
 */
function waitDone(): ModuleFunction {
  const e = new Emitter(4);
  const [generation, tiles, mayWait] = [1, 2, 3];
  const [spins, seen] = [e.newLocal(I32), e.newLocal(I32)];
  const pushReady = (): void => {
    loadAtomic(e, CONTROL.done);
    e.tee(seen);
    e.get(tiles);
    e.op(OP.i32LessUnsigned, OP.i32Eqz);
  };
  const pushOver = (): void => {
    loadAtomic(e, CONTROL.generation);
    e.get(generation);
    e.op(OP.i32NotEqual);
  };
  loadAtomic(e, CONTROL.spins);
  e.set(spins);
  e.loop(() => {
    pushReady();
    e.if(() => e.op(OP.return));
    pushOver();
    e.if(() => e.op(OP.return));
    e.get(spins);
    e.i32(1);
    e.op(OP.i32Subtract);
    e.tee(spins);
    e.branchIf(0);
  });
  e.get(mayWait);
  e.op(OP.i32Eqz);
  e.if(() => e.op(OP.return));
  addAtomic(e, CONTROL.waiters, 1);
  e.op(OP.drop);
  e.block(() => {
    pushOver();
    e.branchIf(0);
    pushReady();
    e.branchIf(0);
    e.get(control);
    e.get(seen);
    e.i64(FOREVER);
    e.atomic(ATOMIC.wait32, CONTROL.done);
    e.op(OP.drop);
  });
  addAtomic(e, CONTROL.waiters, -1);
  e.op(OP.drop);
  return { type: 4, body: e };
}

/** participate(control, generation, mayWait): takes tiles of this generation until none is left. */
function participate(waitDoneIndex: number): ModuleFunction {
  const e = new Emitter(3);
  const [generation, mayWait] = [1, 2];
  const [step, end, first, tile, record, left] = Array.from({ length: 6 }, () => e.newLocal(I32)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const state = e.newLocal(I64);
  const pushEndTile = (): void => {
    e.get(step);
    e.loadI32(STEP.endTile);
  };
  e.get(control);
  e.loadI32(CONTROL.steps);
  e.tee(step);
  e.get(control);
  e.loadI32(CONTROL.stepCount);
  e.i32(STEP_BYTES);
  e.op(OP.i32Multiply, OP.i32Add);
  e.set(end);
  e.loop(() => {
    e.get(control);
    e.atomic(ATOMIC.load64, CONTROL.state);
    e.tee(state);
    e.i64(32);
    e.op(OP.i64ShiftRight, OP.i32Wrap);
    e.get(generation);
    e.op(OP.i32NotEqual);
    e.if(() => e.op(OP.return));
    e.get(state);
    e.op(OP.i32Wrap);
    e.i32(1);
    e.op(OP.i32Subtract);
    e.set(tile);
    e.block(() => {
      e.loop(() => {
        e.get(step);
        e.get(end);
        e.op(OP.i32Equal);
        e.if(() => e.op(OP.return));
        e.get(tile);
        pushEndTile();
        e.op(OP.i32LessUnsigned);
        e.branchIf(1);
        pushEndTile();
        e.set(first);
        e.get(step);
        e.i32(STEP_BYTES);
        e.op(OP.i32Add);
        e.set(step);
        e.branch(0);
      });
    });
    loadAtomic(e, CONTROL.done);
    e.get(first);
    e.op(OP.i32LessUnsigned);
    e.if(() => {
      for (const local of [control, generation, first, mayWait]) e.get(local);
      e.call(waitDoneIndex);
      e.branch(1);
    });
    takeTile(e, state);
    e.branchIf(0); // someone else took it
    e.get(tile);
    e.get(first);
    e.op(OP.i32Subtract);
    e.get(step);
    e.loadI32(STEP.recordStride);
    e.op(OP.i32Multiply);
    e.get(step);
    e.loadI32(STEP.calls);
    e.op(OP.i32Multiply);
    e.get(step);
    e.loadI32(STEP.records);
    e.op(OP.i32Add);
    e.set(record);
    callTile(e, { step, record, left });
    countTile(e, pushEndTile);
    e.branch(0);
  });
  return { type: 3, body: e };
}

/** Tries to move state on by one tile; leaves 0 on the stack when it did. */
function takeTile(e: Emitter, state: number): void {
  e.get(control);
  e.get(state);
  e.get(state);
  e.i64(1);
  e.op(OP.i64Add);
  e.atomic(ATOMIC.compareExchange64, CONTROL.state);
  e.get(state);
  e.op(OP.i64NotEqual);
}

/** Counts a tile as done; after the last of a step, wakes those who wait for it. */
function countTile(e: Emitter, pushEndTile: () => void): void {
  addAtomic(e, CONTROL.done, 1);
  e.i32(1);
  e.op(OP.i32Add);
  pushEndTile();
  e.op(OP.i32Equal);
  e.if(() => {
    loadAtomic(e, CONTROL.waiters);
    e.if(() => wakeAll(e, CONTROL.done));
  });
}

/** state = generation << 32 | low */
function storeState(e: Emitter, generation: number, low: 0 | 1): void {
  e.get(control);
  e.get(generation);
  e.op(OP.i64Extend);
  e.i64(32);
  e.op(OP.i64ShiftLeft);
  e.i64(low);
  e.op(OP.i64Or);
  e.atomic(ATOMIC.store64, CONTROL.state);
}

/** runShared(control) */
function runShared(waitDoneIndex: number, participateIndex: number): ModuleFunction {
  const e = new Emitter(1);
  const [generation, total, mayWait] = [e.newLocal(I32), e.newLocal(I32), e.newLocal(I32)];
  e.get(control);
  e.loadI32(CONTROL.stepCount);
  e.op(OP.i32Eqz);
  e.if(() => e.op(OP.return));
  e.get(control);
  e.loadI32(CONTROL.mayWait);
  e.set(mayWait);
  e.get(control);
  e.loadI32(CONTROL.steps);
  e.get(control);
  e.loadI32(CONTROL.stepCount);
  e.i32(1);
  e.op(OP.i32Subtract);
  e.i32(STEP_BYTES);
  e.op(OP.i32Multiply, OP.i32Add);
  e.loadI32(STEP.endTile);
  e.set(total);
  loadAtomic(e, CONTROL.generation);
  e.i32(1);
  e.op(OP.i32Add);
  e.set(generation);
  e.get(control);
  e.i32(0);
  e.atomic(ATOMIC.store32, CONTROL.done);
  storeState(e, generation, 1);
  loadAtomic(e, CONTROL.sleepers);
  e.if(() => wakeAll(e, CONTROL.generation));
  for (const local of [control, generation, mayWait]) e.get(local);
  e.call(participateIndex);
  e.loop(() => {
    loadAtomic(e, CONTROL.done);
    e.get(total);
    e.op(OP.i32LessUnsigned);
    e.if(() => {
      for (const local of [control, generation, total, mayWait]) e.get(local);
      e.call(waitDoneIndex);
      e.branch(1);
    });
  });
  storeState(e, generation, 0);
  return { type: KERNEL_TYPE, body: e, exportName: 'runShared' };
}

/** serve(control) → 1 when told to stop, 0 when idle */
function serve(participateIndex: number): ModuleFunction {
  const e = new Emitter(1);
  const [spins, slept, joined, last] = Array.from({ length: 4 }, () => e.newLocal(I32)) as [
    number,
    number,
    number,
    number,
  ];
  const state = e.newLocal(I64);
  /** 1 when a run is open that is not the last one joined. */
  const pushNewRun = (): void => {
    e.get(control);
    e.atomic(ATOMIC.load64, CONTROL.state);
    e.tee(state);
    e.op(OP.i32Wrap, OP.i32Eqz, OP.i32Eqz);
    e.get(joined);
    e.op(OP.i32Eqz);
    e.get(state);
    e.i64(32);
    e.op(OP.i64ShiftRight, OP.i32Wrap);
    e.get(last);
    e.op(OP.i32NotEqual);
    e.op(I32_OR, OP.i32And);
  };
  e.loop(() => {
    // depth 0: idle anew
    loadAtomic(e, CONTROL.spins);
    e.set(spins);
    e.block(() => {
      e.loop(() => {
        loadAtomic(e, CONTROL.stop);
        e.if(() => {
          e.i32(1);
          e.op(OP.return);
        });
        pushNewRun();
        e.branchIf(1);
        e.get(spins);
        e.i32(1);
        e.op(OP.i32Subtract);
        e.tee(spins);
        e.branchIf(0);
      });
      e.get(slept);
      e.if(() => {
        e.i32(0);
        e.op(OP.return);
      });
      sleep(e, pushNewRun);
      e.i32(1);
      e.set(slept);
      e.branch(1);
    });
    join(e, { state, last, joined, slept }, participateIndex);
    e.branch(0);
  });
  e.i32(0);
  return { type: ANSWER_TYPE, body: e, exportName: 'serve' };
}

const I32_OR = 0x72;

/** Sleeps once for a run to start. */
function sleep(e: Emitter, pushNewRun: () => void): void {
  const seen = e.newLocal(I32);
  addAtomic(e, CONTROL.sleepers, 1);
  e.op(OP.drop);
  loadAtomic(e, CONTROL.generation);
  e.set(seen);
  e.block(() => {
    loadAtomic(e, CONTROL.stop);
    e.branchIf(0);
    pushNewRun();
    e.branchIf(0);
    e.get(control);
    e.get(seen);
    loadAtomic(e, CONTROL.idleMilliseconds);
    e.op(OP.i64Extend);
    e.i64(1_000_000);
    e.op(OP.i64Multiply);
    e.atomic(ATOMIC.wait32, CONTROL.generation);
    e.op(OP.drop);
  });
  addAtomic(e, CONTROL.sleepers, -1);
  e.op(OP.drop);
}

/** Takes part in the run that is open, if it still is once this thread is known to be reading steps. */
function join(
  e: Emitter,
  locals: { readonly state: number; readonly last: number; readonly joined: number; readonly slept: number },
  participateIndex: number,
): void {
  const { state, last, joined, slept } = locals;
  addAtomic(e, CONTROL.active, 1);
  e.op(OP.drop);
  e.get(control);
  e.atomic(ATOMIC.load64, CONTROL.state);
  e.tee(state);
  e.op(OP.i32Wrap);
  e.if(() => {
    e.get(control);
    e.get(state);
    e.i64(32);
    e.op(OP.i64ShiftRight, OP.i32Wrap);
    e.tee(last);
    e.i32(1);
    e.tee(joined);
    e.call(participateIndex); // helpers may always sleep: 1
    e.i32(0);
    e.set(slept);
  });
  addAtomic(e, CONTROL.active, -1);
  e.op(OP.drop);
}

/** wake(control) */
function wake(): ModuleFunction {
  const e = new Emitter(1);
  wakeAll(e, CONTROL.generation);
  return { type: KERNEL_TYPE, body: e, exportName: 'wake' };
}

/** @param firstIndex index that the first of these functions gets in its module */
export function runnerFunctions(firstIndex: number, shared: boolean): ModuleFunction[] {
  const alone = [call(), runAlone()];
  if (!shared) return alone;
  const waitDoneIndex = firstIndex + alone.length;
  const participateIndex = waitDoneIndex + 1;
  return [
    ...alone,
    waitDone(),
    participate(waitDoneIndex),
    runShared(waitDoneIndex, participateIndex),
    serve(participateIndex),
    wake(),
  ];
}
