/** How a thread takes tiles of a run that others work on too, and what it does while there is none to take. */
import { CONTROL, STEP, STEP_BYTES } from '../../runner-layout.ts';
import { ATOMIC, Emitter, I32, I64, OP } from '../emitter.ts';
import type { ModuleFunction } from '../module.ts';
import { addAtomic, control, highHalf, loadAtomic, wakeAll } from './control-block.ts';
import { TYPE } from './function-types.ts';
import { callTile } from './run-alone.ts';

const FOREVER = -1;

/**
 * waitDone(control, generation, tiles, mayWait): spins, then sleeps until so many tiles are done, or the run is
 * over, or for no reason: the caller asks again.
 */
export function waitDone(): ModuleFunction {
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
    e.countDown(spins);
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
  return { type: TYPE.four, body: e };
}

/** participate(control, generation, mayWait): takes tiles of this generation until none is left. */
export function participate(waitDoneIndex: number): ModuleFunction {
  const e = new Emitter(3);
  const [generation, mayWait] = [1, 2];
  const i32 = (): number => e.newLocal(I32);
  const [step, end, first, tile, record, left] = [i32(), i32(), i32(), i32(), i32(), i32()];
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
    highHalf(e);
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
  return { type: TYPE.three, body: e };
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
