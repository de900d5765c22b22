import { STEP, STEP_BYTES } from '../../runner-layout.ts';
import { Emitter, I32, OP } from '../emitter.ts';
import type { ModuleFunction } from '../module.ts';
import { TYPE } from './function-types.ts';

/** Locals: a step, the first record of a tile and, for use while it runs, the calls that are left. */
interface CallLocals {
  readonly step: number;
  readonly record: number;
  readonly left: number;
}

/** Makes all calls of a tile; `record` is behind its last one then. */
export function callTile(e: Emitter, { step, record, left }: CallLocals): void {
  e.get(step);
  e.loadI32(STEP.calls);
  e.set(left);
  e.loop(() => {
    e.get(record);
    e.get(record);
    e.loadI32(0);
    e.callIndirect(TYPE.kernel);
    e.get(record);
    e.get(step);
    e.loadI32(STEP.recordStride);
    e.op(OP.i32Add);
    e.set(record);
    e.countDown(left);
  });
}

/** call(kernel, record) */
export function call(): ModuleFunction {
  const e = new Emitter(2);
  e.get(1);
  e.get(0);
  e.callIndirect(TYPE.kernel);
  return { type: TYPE.two, body: e, exportName: 'call' };
}

/** runAlone(steps, stepCount) */
export function runAlone(): ModuleFunction {
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
  return { type: TYPE.two, body: e, exportName: 'runAlone' };
}
