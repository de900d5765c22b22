/** Loads and stores of part of a vector, f32 and bf16, unaligned and right before memory that faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allMachines, type TestMachine } from '../../test/support/machines.ts';
import { createRandom } from '../tensor/random.ts';
import type { KernelId } from './machine.ts';
import { at, type VectorAssembler } from './vector-assembler.ts';

const random = createRandom(5);

type Kind = 'f32' | 'bf16';
const widths: Readonly<Record<Kind, number>> = { f32: 4, bf16: 2 };

const scratch = new DataView(new ArrayBuffer(4));

function bitsOf(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function fromBits(bits: number): number {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** Nearest even; NaN is undefined here, any NaN will do. */
function toBf16(value: number, flushDenormals: boolean): number | undefined {
  if (Number.isNaN(value)) return undefined;
  const bits = bitsOf(value);
  if (flushDenormals && (bits & 0x7f800000) === 0) return bits >>> 31 ? 0x8000 : 0;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** One kernel for each count: loads from slot 1 by count, stores all to slot 2, stores by count to slot 3. */
function partialKernel(kind: Kind, count: number): (a: VectorAssembler) => void {
  return (a) => {
    const [from, whole, part] = [a.slot(1), a.slot(2), a.slot(3)];
    const vec = a.newVec();
    if (kind === 'f32') a.load(vec, at(from), count);
    else a.loadBf16(vec, at(from), count);
    a.store(at(whole), vec);
    a.load(vec, at(whole));
    if (kind === 'f32') a.store(at(part), vec, count);
    else a.storeBf16(at(part), vec, count);
  };
}

interface PartialTest {
  readonly kind: Kind;
  readonly count: number;
  readonly kernel: KernelId;
}

function checkPartial(target: TestMachine): number {
  const { machine } = target;
  const { lanes } = machine.target;
  const builder = machine.builder();
  const tests: PartialTest[] = (['f32', 'bf16'] as const).flatMap((kind) =>
    Array.from({ length: lanes }, (_, i) => ({
      kind,
      count: i + 1,
      kernel: builder.kernel(`${kind}-${i + 1}`, partialKernel(kind, i + 1)),
    })),
  );
  const code = machine.load(builder);
  const block = machine.allocate(1024);
  for (const one of tests) {
    const bytes = one.count * widths[one.kind];
    const guarded = target.guarded(bytes);
    const view = block.view(0, 1024);
    const record = new BigInt64Array(view.buffer, view.byteOffset, 4);
    for (const misalignment of [0, 1, 2, 4]) {
      // Read at the guard, write elsewhere, unaligned.
      const source = Uint8Array.from({ length: bytes }, () => random.integer(256));
      for (let i = 1; i < bytes; i += 2) source[i] = 0x3f + random.integer(4); // neither NaN nor denormal
      guarded.view.set(source);
      view.fill(0xa5, 64);
      const part = 512 + misalignment;
      record.set(
        [code.entry(one.kernel), guarded.address, block.address + 64, block.address + part].map(BigInt),
      );
      code.call(one.kernel, block.address);
      assert.deepEqual(view.slice(part, part + bytes), source, `${one.kind} × ${one.count}`);
      assert.ok(
        view.subarray(part + bytes).every((byte) => byte === 0xa5),
        'wrote beyond its count',
      );
      assert.ok(
        view.subarray(part - 64, part).every((byte) => byte === 0xa5),
        'wrote before its start',
      );
      checkWidened(view, source, one, lanes);
      // Write at the guard.
      guarded.view.fill(0);
      const from = 512 + misalignment;
      record.set([0, block.address + from, block.address + 64, guarded.address].map(BigInt));
      code.call(one.kernel, block.address);
      assert.deepEqual(guarded.view.slice(), source, `${one.kind} × ${one.count} at the guard`);
    }
    guarded.free();
  }
  code.dispose();
  block.free();
  return tests.length;
}

/** The lanes that were loaded: widened values, then zeros. */
function checkWidened(
  view: Uint8Array,
  source: Uint8Array,
  { kind, count }: PartialTest,
  lanes: number,
): void {
  const loaded = new DataView(view.buffer, view.byteOffset + 64, lanes * 4);
  const words = new DataView(source.buffer);
  for (let lane = 0; lane < lanes; lane++) {
    const expected =
      lane >= count
        ? 0
        : kind === 'f32'
          ? words.getUint32(lane * 4, true)
          : words.getUint16(lane * 2, true) << 16;
    assert.equal(loaded.getUint32(lane * 4, true), expected >>> 0, `lane ${lane} of ${count}`);
  }
}

/** Rounding of every kind of number, through whole vectors. */
function checkRounding({ machine }: TestMachine): void {
  const { lanes, features } = machine.target;
  const values = [0, -0, 1, Infinity, -Infinity, NaN, -NaN, 3.4e38, -3.4e38, 1e-40, -1e-40, 1.17549435e-38];
  const words = values.map(bitsOf);
  words.push(0x7f800001, 0xffbfffff, 0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7fffff);
  while (words.length < 64 * lanes)
    words.push((random.integer(2 ** 16) * 65536 + random.integer(2 ** 16)) >>> 0);
  const count = words.length - (words.length % lanes);
  const builder = machine.builder();
  const kernel = builder.kernel('round', (a) => {
    const [from, to, times] = [a.slot(1), a.slot(2), a.slot(3)];
    const vec = a.newVec();
    a.loop(times, () => {
      a.load(vec, at(from));
      a.storeBf16(at(to), vec);
      a.broadcastBf16(vec, at(to, 2));
      a.store(at(from), vec);
      a.addInt(from, lanes * 4);
      a.addInt(to, lanes * 2);
    });
  });
  const code = machine.load(builder);
  const block = machine.allocate(64 + count * 6);
  const view = block.view(0, block.bytes);
  const input = new Uint32Array(view.buffer, view.byteOffset + 64, count);
  const output = new Uint16Array(view.buffer, view.byteOffset + 64 + count * 4, count);
  input.set(words.slice(0, count));
  const start = block.address + 64;
  const slots = [code.entry(kernel), start, start + count * 4, count / lanes].map(BigInt);
  new BigInt64Array(view.buffer, view.byteOffset, 4).set(slots);
  code.call(kernel, block.address);
  for (let i = 0; i < count; i++) {
    const word = words[i] ?? 0;
    const expected = toBf16(fromBits(word), features.has('bf16Convert'));
    const found = output[i] ?? 0;
    const isNan = (found & 0x7f80) === 0x7f80 && (found & 0x7f) !== 0;
    if (expected === undefined) assert.ok(isNan, `NaN ${word.toString(16)} became ${found.toString(16)}`);
    else assert.equal(found, expected, `${word.toString(16)}`);
    const second = output[i - (i % lanes) + 1] ?? 0;
    assert.equal(input[i], (second << 16) >>> 0, 'broadcastBf16');
  }
  code.dispose();
  block.free();
}

/** Lanes of pairs of bf16, and whole tiles of them, against sums in plain JavaScript. Small integers are exact. */
function checkDots({ machine }: TestMachine): void {
  const { features } = machine.target;
  const block = machine.allocate(16384);
  const view = block.view(0, block.bytes);
  const small = (count: number, offset: number): Float32Array => {
    const values = Float32Array.from({ length: count }, () => random.integer(17) - 8);
    const words = new Uint16Array(view.buffer, view.byteOffset + offset, count);
    for (const [i, value] of values.entries()) words[i] = bitsOf(value) >>> 16;
    return values;
  };
  const [aAt, bAt, cAt] = [1024, 4096, 8192];
  const rows = 13;
  const rowBytes = 44; // 22 bf16 deep: 11 pairs
  const columns = 15;
  const a = small(rows * 22, aAt);
  const b = small(11 * columns * 2, bAt);
  const c = new Float32Array(view.buffer, view.byteOffset + cAt, rows * columns);
  c.fill(Number.NaN);
  const builder = machine.builder();
  const kernel = builder.kernel('dots', (asm) => {
    const [left, right, sums] = [asm.slot(1), asm.slot(2), asm.slot(3)];
    const { tiles } = asm;
    if (tiles !== undefined) {
      const strides = [rowBytes, columns * 4].map((bytes) => asm.int(bytes));
      const [leftStride, sumStride] = strides;
      assert.ok(leftStride && sumStride);
      tiles.configure([
        { rows, rowBytes: columns * 4 },
        { rows, rowBytes },
        { rows: rowBytes / 4, rowBytes: columns * 4 },
      ]);
      tiles.zero(0);
      tiles.load(1, left, leftStride);
      tiles.load(2, right, sumStride);
      tiles.dotBf16(0, 1, 2);
      tiles.store(0, sums, sumStride);
      tiles.release();
      return;
    }
    const [x, y, sum] = [asm.newVec(), asm.newVec(), asm.newVec()];
    asm.zero(sum);
    asm.load(x, at(left));
    asm.load(y, at(right));
    asm.dotBf16(sum, x, y);
    asm.dotBf16(sum, x, at(right));
    asm.store(at(sums), sum);
  });
  const code = machine.load(builder);
  const slots = [code.entry(kernel), block.address + aAt, block.address + bAt, block.address + cAt];
  new BigInt64Array(view.buffer, view.byteOffset, 4).set(slots.map(BigInt));
  code.call(kernel, block.address);
  const pairs = (i: number, j: number): number =>
    (a[i] ?? 0) * (b[j] ?? 0) + (a[i + 1] ?? 0) * (b[j + 1] ?? 0);
  if (!features.has('tiles')) {
    for (let lane = 0; lane < machine.target.lanes; lane++)
      assert.equal(c[lane], 2 * pairs(2 * lane, 2 * lane), `lane ${lane}`);
  } else {
    for (let m = 0; m < rows; m++)
      for (let n = 0; n < columns; n++) {
        let sum = 0;
        for (let k = 0; k < 11; k++) sum += pairs(m * 22 + 2 * k, (k * columns + n) * 2);
        assert.equal(c[m * columns + n], sum, `row ${m}, column ${n}`);
      }
  }
  code.dispose();
  block.free();
}

/** Rows of numbers → rows of pairs, of neighbours in two rows and in one, and their transpose. */
function checkPairs({ machine }: TestMachine): void {
  const { lanes } = machine.target;
  const block = machine.allocate(8192);
  const view = block.view(0, block.bytes);
  const from = new Float32Array(view.buffer, view.byteOffset + 64, 2 * lanes * lanes);
  for (const i of from.keys()) from[i] = random.normal();
  const builder = machine.builder();
  const kernels = (['interleave', 'join'] as const).map((how) =>
    builder.kernel(how, (a) => {
      const [source, to, odd] = [a.slot(1), a.slot(2), a.newVec()];
      const { pairs } = a;
      assert.ok(pairs);
      const rows = Array.from({ length: lanes }, (_, i) => {
        const row = a.newVec();
        a.load(row, at(source, i * lanes * 8));
        a.load(odd, at(source, (2 * i + 1) * lanes * 4));
        pairs[how](row, row, odd);
        return row;
      });
      pairs.transpose(rows);
      for (const [i, row] of rows.entries()) a.store(at(to, i * lanes * 4), row);
    }),
  );
  const code = machine.load(builder);
  const found = new Uint16Array(view.buffer, view.byteOffset + 4096, 2 * lanes * lanes);
  for (const [k, kernel] of kernels.entries()) {
    const slots = [code.entry(kernel), block.address + 64, block.address + 4096].map(BigInt);
    new BigInt64Array(view.buffer, view.byteOffset, 3).set(slots);
    code.call(kernel, block.address);
    for (let row = 0; row < lanes; row++)
      for (let word = 0; word < lanes; word++)
        for (const half of [0, 1]) {
          const place = k === 0 ? half * lanes + word : 2 * word + half;
          const expected = toBf16(from[row * 2 * lanes + place] ?? Number.NaN, true);
          assert.equal(found[(word * lanes + row) * 2 + half], expected, `${k}: ${row}, ${word}, ${half}`);
        }
  }
  code.dispose();
  block.free();
}

for (const one of await allMachines()) {
  test(`partial loads and stores on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip === false) assert.ok(checkPartial(one.make()) >= 8);
  });
  test(`pairs of bf16 on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip !== false) return;
    const made = one.make();
    if (made.machine.target.features.has('bf16Dot')) checkPairs(made);
    else made.machine.builder().kernel('none', (a) => assert.equal(a.pairs, undefined));
  });
  test(`rounding to bf16 on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip === false) checkRounding(one.make());
  });
}

for (const feature of ['bf16Dot', 'tiles'] as const) {
  const avx512 = (await allMachines()).find(
    ({ name }) => name === (feature === 'tiles' ? 'avx512' : 'avx512 without tiles'),
  );
  const made = avx512?.skip === false ? avx512.make() : undefined;
  const skip = made?.machine.target.features.has(feature) ? false : `no machine with ${feature} here`;
  test(`dot products of bf16 with ${feature}`, { skip }, () => {
    if (made !== undefined) checkDots(made);
  });
}
