import { CONTROL, STEP, STEP_BYTES } from '../../runner-layout.ts';
import { ATOMIC, Emitter, I32, OP } from '../emitter.ts';
import type { ModuleFunction } from '../module.ts';
import { control, loadAtomic, wakeAll } from './control-block.ts';
import { TYPE } from './function-types.ts';

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
export function runShared(waitDoneIndex: number, participateIndex: number): ModuleFunction {
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
  return { type: TYPE.kernel, body: e, exportName: 'runShared' };
}
