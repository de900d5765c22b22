import { countedLoop } from '../counted-loop.ts';
import type { Address, ControlInstructions, Int, IntInstructions } from '../vector-assembler.ts';
import { Emitter, I32, OP } from './emitter.ts';
import { LocalFile } from './local-file.ts';
import { INT_REGISTERS } from './wasm-target.ts';

/** Integers and control, in a function of one parameter: the tile record. */
export class WasmIntegers implements IntInstructions, ControlInstructions {
  readonly emitter = new Emitter(1);
  readonly record: Int = { kind: 'int', register: 0 };
  readonly #ints = new LocalFile('integer', INT_REGISTERS, I32, this.emitter);

  newInt(): Int {
    return { kind: 'int', register: this.#ints.take() };
  }

  slot(index: number): Int {
    const target = this.newInt();
    this.emitter.get(this.record.register);
    this.emitter.loadI32(index * 8);
    this.emitter.set(target.register);
    return target;
  }

  int(value: number): Int {
    const target = this.newInt();
    this.moveInt(target, value);
    return target;
  }

  freeInt(...ints: readonly Int[]): void {
    for (const int of ints) this.#ints.free(int.register);
  }

  #pushInt(source: Int | number): void {
    if (typeof source === 'number') this.emitter.i32(source);
    else this.emitter.get(source.register);
  }

  #integer(op: number, target: Int, source: Int | number): void {
    this.emitter.get(target.register);
    this.#pushInt(source);
    this.emitter.op(op);
    this.emitter.set(target.register);
  }

  moveInt(target: Int, source: Int | number): void {
    this.#pushInt(source);
    this.emitter.set(target.register);
  }

  addInt(target: Int, source: Int | number): void {
    this.#integer(OP.i32Add, target, source);
  }

  subtractInt(target: Int, source: Int | number): void {
    this.#integer(OP.i32Subtract, target, source);
  }

  multiplyInt(target: Int, factor: number): void {
    this.#integer(OP.i32Multiply, target, factor);
  }

  loadPointer(target: Int, address: Address): void {
    this.loadI32(target, address);
  }

  loadI32(target: Int, address: Address): void {
    this.pushAddress(address);
    this.emitter.loadI32(address.offset);
    this.emitter.set(target.register);
  }

  loop(times: number | Int, body: () => void): void {
    countedLoop(this, times, body, (counter, turn) =>
      this.emitter.loop(() => {
        turn();
        this.emitter.countDown(counter.register);
      }),
    );
  }

  whileNonZero(value: Int, body: () => void): void {
    this.ifNonZero(value, () => {
      this.emitter.loop(() => {
        body();
        this.emitter.get(value.register);
        this.emitter.branchIf(0);
      });
    });
  }

  ifNonZero(value: Int, then: () => void, otherwise?: () => void): void {
    this.emitter.get(value.register);
    this.emitter.if(then, otherwise);
  }

  ifLess(left: Int, right: Int | number, then: () => void, otherwise?: () => void): void {
    this.emitter.get(left.register);
    this.#pushInt(right);
    this.emitter.op(OP.i32LessSigned);
    this.emitter.if(then, otherwise);
  }

  /** The address without its constant offset, which the access itself adds. */
  protected pushAddress({ base, index, scale }: Address): void {
    const e = this.emitter;
    e.get(base.register);
    if (index === undefined) return;
    e.get(index.register);
    if (scale > 1) {
      e.i32(Math.log2(scale));
      e.op(OP.i32ShiftLeft);
    }
    e.op(OP.i32Add);
  }
}
