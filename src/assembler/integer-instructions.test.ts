/** Integers and control, run on every machine that is here. */
import { test } from 'node:test';
import { assertSame, f32At, type InstructionCase, runCases } from '../../test/support/instruction-cases.ts';
import { allMachines } from '../../test/support/machines.ts';
import { at, atIndex, type Int, type VectorAssembler } from './vector-assembler.ts';

/** Reads the number that an integer indexes, so that integers can be seen from outside. */
function report(a: VectorAssembler, table: Int, int: Int, output: Int, index: number): void {
  const vec = a.newVec();
  a.broadcast(vec, atIndex(table, int, 4));
  a.store(at(output, index * 4), vec, 1);
  a.freeVec(vec);
}

function integerCase(): InstructionCase {
  const input = new Float32Array(1024).map((_, i) => i);
  const words = new Int32Array(input.buffer);
  words[1020] = -5;
  words[1021] = 7;
  const expected = [12, 8, 36, 36, 31, 36, 7, 3, 5, 1000, 0, 4, 24, 1, 2, 1, 2, 9, 0, 60];
  return {
    name: 'integers and control',
    input,
    outputBytes: expected.length * 4,
    emit(a, table, to) {
      let next = 0;
      const show = (int: Int): void => report(a, table, int, to, next++);
      const x = a.int(5);
      a.addInt(x, 7);
      show(x); // 12
      a.subtractInt(x, 4);
      show(x); // 8
      a.multiplyInt(x, 3);
      a.addInt(x, 12);
      show(x); // 36
      const y = a.newInt();
      a.moveInt(y, x);
      show(y); // 36
      const negative = a.newInt();
      a.loadI32(negative, at(table, 4080));
      a.addInt(y, negative);
      show(y); // 31
      a.subtractInt(y, negative);
      show(y); // 36
      a.loadI32(negative, at(table, 4084));
      show(negative); // 7
      a.freeInt(x, y, negative);
      control(a, show);
    },
    check(output) {
      for (const [i, want] of expected.entries()) assertSame(f32At(output, i), want, `integer ${i}`);
    },
  };
}

function control(a: VectorAssembler, show: (int: Int) => void): void {
  const count = a.int(0);
  const times = a.int(3);
  a.loop(times, () => a.addInt(count, 1));
  show(count); // 3
  a.addInt(count, 2);
  show(count); // 5
  a.moveInt(count, 0);
  a.loop(10, () => a.loop(20, () => a.loop(5, () => a.addInt(count, 1))));
  show(count); // 1000
  a.moveInt(count, 0);
  const zero = a.int(0);
  a.loop(zero, () => a.addInt(count, 1));
  a.loop(0, () => a.addInt(count, 1));
  show(count); // 0
  a.whileNonZero(times, () => {
    a.subtractInt(times, 1);
    a.addInt(count, 1);
  });
  a.whileNonZero(zero, () => a.addInt(count, 100));
  a.loop(1, () => a.addInt(count, 1));
  show(count); // 4
  a.loop(count, () => {
    // A body too long for a short jump.
    for (let i = 0; i < 60; i++) a.addInt(count, 1);
    for (let i = 0; i < 55; i++) a.addInt(count, -1);
  });
  show(count); // 4 + 4·5 = 24
  const select = (value: number): void => {
    const int = a.int(value);
    a.ifNonZero(
      int,
      () => a.moveInt(int, 1),
      () => a.moveInt(int, 2),
    );
    show(int);
    a.freeInt(int);
  };
  select(77); // 1
  select(0); // 2
  const less = (left: number, right: number | Int): void => {
    const int = a.int(left);
    a.ifLess(
      int,
      right,
      () => a.moveInt(int, 1),
      () => a.moveInt(int, 2),
    );
    show(int);
    a.freeInt(int);
  };
  less(-1, zero); // 1
  less(5, 5); // 2
  a.moveInt(count, 9);
  a.ifNonZero(zero, () => a.moveInt(count, 10));
  show(count); // 9
  a.ifLess(count, 100, () => a.moveInt(count, 0));
  show(count); // 0
  const held = Array.from({ length: a.target.intRegisters - 7 }, (_, i) => a.int(i + 1)); // 1 … 7
  for (const [i, int] of held.entries()) {
    a.multiplyInt(int, 2);
    a.addInt(count, int);
    if (i === 0) a.addInt(count, 4);
  }
  a.freeInt(...held, zero, times);
  show(count); // 56 + 4
  a.freeInt(count);
}

for (const one of await allMachines())
  test(`integers and control on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip !== false) return;
    const target = one.make();
    runCases(target, [integerCase()]);
    target.machine.dispose();
  });
