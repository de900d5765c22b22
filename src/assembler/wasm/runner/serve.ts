/** What a helper does between runs: it looks for the next one, sleeps, joins. */
import { CONTROL } from '../../runner-layout.ts';
import { ATOMIC, Emitter, I32, I64, OP } from '../emitter.ts';
import type { ModuleFunction } from '../module.ts';
import { addAtomic, control, highHalf, loadAtomic, wakeAll } from './control-block.ts';
import { TYPE } from './function-types.ts';

/** serve(control) → 1 when told to stop, 0 when idle */
export function serve(participateIndex: number): ModuleFunction {
  const e = new Emitter(1);
  const i32 = (): number => e.newLocal(I32);
  const [spins, slept, joined, last] = [i32(), i32(), i32(), i32()];
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
    highHalf(e);
    e.get(last);
    e.op(OP.i32NotEqual);
    e.op(OP.i32Or, OP.i32And);
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
        e.countDown(spins);
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
  return { type: TYPE.answer, body: e, exportName: 'serve' };
}

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
    highHalf(e);
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
export function wake(): ModuleFunction {
  const e = new Emitter(1);
  wakeAll(e, CONTROL.generation);
  return { type: TYPE.kernel, body: e, exportName: 'wake' };
}
