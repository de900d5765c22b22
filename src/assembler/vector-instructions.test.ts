/** Every instruction on vectors, run on every machine that is here, against plain JavaScript. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertSame, f32At, type InstructionCase, runCases } from '../../test/support/instruction-cases.ts';
import { allMachines } from '../../test/support/machines.ts';
import { createRandom } from '../tensor/random.ts';
import {
  at,
  atIndex,
  type BinaryOp,
  broadcastAt,
  type Comparison,
  type Int,
  type UnaryOp,
  type Vec,
  type VectorAssembler,
} from './vector-assembler.ts';

const random = createRandom(11);

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  Infinity,
  -Infinity,
  NaN,
  1e-40,
  -1e-40,
  3e38,
  8388609,
];

const fround = Math.fround;

function numbers(count: number): Float32Array {
  return Float32Array.from({ length: count }, () =>
    random.uniform() < 0.3 ? (special[random.integer(special.length)] ?? 0) : random.normal() * 10,
  );
}

const integers = (count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.integer(2001) - 1000);

function lanesEqual(output: DataView, count: number, expected: (lane: number) => number, what: string): void {
  for (let lane = 0; lane < count; lane++)
    assertSame(f32At(output, lane), fround(expected(lane)), `${what}, lane ${lane}`);
}

const value = (array: Float32Array, index: number): number => array[index] ?? Number.NaN;

const binary: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  maximum: (a, b) => (a > b ? a : b),
  minimum: (a, b) => (a < b ? a : b),
};

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const rounded = up ? floor + 1 : floor;
  return rounded === 0 && (x < 0 || Object.is(x, -0)) ? -0 : rounded;
}

const unary: Readonly<Record<UnaryOp, (a: number) => number>> = {
  absolute: Math.abs,
  negate: (a) => -a,
  squareRoot: Math.sqrt,
  round: (a) => (Number.isFinite(a) ? roundToEven(a) : a),
};

const comparisons: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
  equal: (a, b) => a === b,
};

function load(a: VectorAssembler, input: Int, vectors: number): Vec[] {
  return Array.from({ length: vectors }, (_, i) => {
    const vec = a.newVec();
    a.load(vec, at(input, i * a.lanes * 4));
    return vec;
  });
}

const binaryForms = ['register', 'memory', 'broadcast', 'onto left', 'onto right', 'indexed'] as const;

function binaryCases(lanes: number): InstructionCase[] {
  return (Object.keys(binary) as BinaryOp[]).flatMap((op) =>
    binaryForms.map((form): InstructionCase => {
      const input = numbers(2 * lanes);
      return {
        name: `${op}, ${form}`,
        input,
        outputBytes: lanes * 4,
        emit(a, from, to) {
          const [left, right] = load(a, from, 2) as [Vec, Vec];
          const byIndex = (): Int => a.int(lanes / 2);
          const target = form === 'onto left' ? left : form === 'onto right' ? right : a.newVec();
          const operands = {
            register: () => right,
            'onto left': () => right,
            'onto right': () => right,
            memory: () => at(from, lanes * 4),
            broadcast: () => broadcastAt(from, lanes * 4),
            indexed: () => atIndex(from, byIndex(), 8),
          };
          a.binary(op, target, left, operands[form]());
          a.store(at(to), target);
        },
        check: (output) =>
          lanesEqual(
            output,
            lanes,
            (i) => binary[op](value(input, i), value(input, form === 'broadcast' ? lanes : lanes + i)),
            op,
          ),
      };
    }),
  );
}

function simpleVectorCases(lanes: number): InstructionCase[] {
  const cases: InstructionCase[] = [];
  for (const op of Object.keys(unary) as UnaryOp[]) {
    const input = numbers(lanes);
    cases.push({
      name: op,
      input,
      outputBytes: lanes * 4,
      emit(a, from, to) {
        const [vec] = load(a, from, 1) as [Vec];
        const target = a.newVec();
        a.unary(op, target, vec);
        a.unary('negate', vec, target);
        a.unary('negate', target, vec);
        a.store(at(to), target);
      },
      check: (output) => lanesEqual(output, lanes, (i) => unary[op](value(input, i)), op),
    });
  }
  for (const c of Object.keys(comparisons) as Comparison[]) {
    for (const onto of [0, 1, 2, 3, 4]) {
      const input = numbers(4 * lanes);
      for (let i = 0; i < lanes; i += 3) input[lanes + i] = value(input, i);
      cases.push({
        name: `select ${c} onto ${onto}`,
        input,
        outputBytes: lanes * 4,
        emit(a, from, to) {
          const v = [...load(a, from, 4), a.newVec()] as [Vec, Vec, Vec, Vec, Vec];
          const target = v[onto] ?? v[4];
          a.select(c, target, v[0], v[1], v[2], v[3]);
          a.store(at(to), target);
        },
        check: (output) =>
          lanesEqual(
            output,
            lanes,
            (i) =>
              value(input, i + (comparisons[c](value(input, i), value(input, lanes + i)) ? 2 : 3) * lanes),
            c,
          ),
      });
    }
  }
  return cases;
}

function moreVectorCases(lanes: number): InstructionCase[] {
  const whole = integers(3 * lanes);
  const fma = (form: 'register' | 'memory' | 'broadcast'): InstructionCase => ({
    name: `fma, ${form}`,
    input: whole,
    outputBytes: lanes * 4,
    emit(a, from, to) {
      const [sum, left, right] = load(a, from, 3) as [Vec, Vec, Vec];
      const offset = 2 * lanes * 4;
      const operands = { register: right, memory: at(from, offset), broadcast: broadcastAt(from, offset) };
      a.fma(sum, left, operands[form]);
      a.store(at(to), sum);
    },
    check: (output) =>
      lanesEqual(
        output,
        lanes,
        (i) =>
          value(whole, i) +
          value(whole, lanes + i) * value(whole, 2 * lanes + (form === 'broadcast' ? 0 : i)),
        'fma',
      ),
  });
  const exponents = Float32Array.from({ length: 2 * lanes }, (_, i) =>
    i < lanes ? random.uniform() * 2 - 1 : ([-126, 127, 0, -1, 23, -100][i % 6] ?? 0),
  );
  const scale: InstructionCase = {
    name: 'scaleByPowerOfTwo',
    input: exponents,
    outputBytes: lanes * 4,
    emit(a, from, to) {
      const [v, n] = load(a, from, 2) as [Vec, Vec];
      a.scaleByPowerOfTwo(v, v, n);
      a.store(at(to), v);
    },
    check: (output) =>
      lanesEqual(output, lanes, (i) => value(exponents, i) * 2 ** value(exponents, lanes + i), 'scale'),
  };
  const reduce = (op: 'add' | 'maximum', inPlace: boolean): InstructionCase => ({
    name: `reduce ${op}${inPlace ? ' in place' : ''}`,
    input: whole,
    outputBytes: 2 * lanes * 4,
    emit(a, from, to) {
      const [vec] = load(a, from, 1) as [Vec];
      const target = inPlace ? vec : a.newVec();
      a.reduceLanes(op, target, vec);
      a.store(at(to), target);
      a.store(at(to, lanes * 4), vec);
    },
    check(output) {
      const first = [...whole.subarray(0, lanes)];
      const expected = op === 'add' ? first.reduce((s, x) => s + x) : Math.max(...first);
      lanesEqual(output, lanes, () => expected, 'reduce');
      if (!inPlace)
        lanesEqual(
          new DataView(output.buffer, output.byteOffset + lanes * 4),
          lanes,
          (i) => first[i] ?? 0,
          'source',
        );
    },
  });
  const constants = [0, -0, 1, Math.PI, -1e-30, Infinity, 3e38];
  const constant: InstructionCase = {
    name: 'constant, zero, move, broadcast, store past caches',
    input: whole,
    outputBytes: (constants.length + 3) * lanes * 4,
    emit(a, from, to) {
      const vec = a.newVec();
      const other = a.newVec();
      for (const [i, c] of constants.entries()) {
        a.constant(vec, c);
        a.store(at(to, i * lanes * 4), vec);
      }
      const rest = (i: number): number => (constants.length + i) * lanes * 4;
      a.zero(vec);
      a.store(at(to, rest(0)), vec);
      a.broadcast(vec, at(from, 8));
      a.move(other, vec);
      a.zero(vec);
      a.store(at(to, rest(1)), other);
      a.load(vec, broadcastAt(from, 4));
      a.prefetch(at(from, 1 << 20));
      a.prefetch(at(from, 1 << 21), 'second');
      a.storePast(at(to, rest(2)), vec);
    },
    check: (output) =>
      lanesEqual(
        output,
        (constants.length + 3) * lanes,
        (i) => [...constants, 0, value(whole, 2), value(whole, 1)][Math.floor(i / lanes)] ?? NaN,
        'constant',
      ),
  };
  return [
    fma('register'),
    fma('memory'),
    fma('broadcast'),
    scale,
    ...[true, false].flatMap((inPlace) => [reduce('add', inPlace), reduce('maximum', inPlace)]),
    constant,
  ];
}

/** All registers hold something at once, so that high register numbers are used in every place. */
function pressureCases(lanes: number, registers: number): InstructionCase[] {
  const held = registers - 1; // one is left to borrow
  const input = integers(held * lanes);
  return [
    {
      name: 'all vector registers',
      input,
      outputBytes: lanes * 4,
      emit(a, from, to) {
        const vecs = load(a, from, held);
        const [sum, ...others] = vecs as [Vec, ...Vec[]];
        for (const vec of others) a.binary('add', sum, sum, vec);
        for (const vec of others) a.fma(vec, vec, broadcastAt(from));
        for (const vec of others) a.binary('add', sum, sum, vec);
        a.store(at(to), sum);
      },
      check: (output) =>
        lanesEqual(
          output,
          lanes,
          (lane) => {
            const at0 = value(input, 0);
            let sum = value(input, lane);
            for (let i = 1; i < held; i++) sum += value(input, i * lanes + lane) * (2 + at0);
            return sum;
          },
          'sum',
        ),
    },
  ];
}

for (const one of await allMachines()) {
  test(`vector instructions on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip !== false) return;
    const target = one.make();
    const { lanes, vectorRegisters } = target.machine.target;
    const cases = [
      ...binaryCases(lanes),
      ...simpleVectorCases(lanes),
      ...moreVectorCases(lanes),
      ...pressureCases(lanes, vectorRegisters),
    ];
    assert.ok(cases.length >= 59);
    runCases(target, cases);
    target.machine.dispose();
  });
}
