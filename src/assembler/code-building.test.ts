/** What building code refuses, and what it promises about kernels' names and registers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allMachines } from '../../test/support/machines.ts';
import { EngineError } from '../errors.ts';
import type { KernelId, Machine } from './machine.ts';
import { at, type VectorAssembler } from './vector-assembler.ts';
import { WasmCode } from './wasm/wasm-code.ts';
import { wasmFeatures } from './wasm/wasm-features.ts';
import { createWasmMachine } from './wasm/wasm-machine.ts';
import { wasmTarget } from './wasm/wasm-target.ts';
import { systemV } from './x64/registers.ts';
import { X64Code } from './x64/x64-code.ts';
import { x64Target } from './x64/x64-target.ts';

const faulty: readonly (readonly [string, (a: VectorAssembler) => void, RegExp])[] = [
  [
    'too many vectors',
    (a) => repeat(a.target.vectorRegisters + 1, () => a.newVec()),
    /all \d+ vector registers/,
  ],
  [
    'too many integers',
    (a) => repeat(a.target.intRegisters + 1, () => a.newInt()),
    /all \d+ integer registers/,
  ],
  [
    'a loop without a register left for its counter',
    (a) => {
      repeat(a.target.intRegisters, () => a.newInt());
      a.loop(3, () => {});
    },
    /all \d+ integer registers/,
  ],
  [
    'freeing twice',
    (a) => {
      const vec = a.newVec();
      a.freeVec(vec, vec);
    },
    /freed but not held/,
  ],
  ['an offset below 0', (a) => a.load(a.newVec(), at(a.record, -4)), /offset of 0 … 2³¹−1 bytes, found -4/],
  ['an offset above 2³¹', (a) => a.load(a.newVec(), at(a.record, 2 ** 31)), /offset/],
  ['no lanes', (a) => a.load(a.newVec(), at(a.record), 0), /lanes from 1 to \d+, found 0/],
  ['too many lanes', (a) => a.store(at(a.record), a.newVec(), a.lanes + 1), /count of lanes/],
  ['half a lane', (a) => a.storeBf16(at(a.record), a.newVec(), 1.5), /count of lanes/],
];

function repeat(times: number, action: () => void): void {
  for (let i = 0; i < times; i++) action();
}

for (const one of await allMachines()) {
  test(`faults of generators on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip !== false) return;
    const { machine } = one.make();
    for (const [what, generate, message] of faulty) {
      const check = (error: unknown): boolean => error instanceof EngineError && message.test(error.message);
      assert.throws(() => machine.builder().kernel(what, generate), check, what);
    }
    if (!machine.target.features.has('bf16Dot')) {
      const dot = (a: VectorAssembler): void => a.dotBf16(a.newVec(), a.newVec(), a.newVec());
      assert.throws(() => machine.builder().kernel('dot', dot), EngineError);
    }
  });

  test(`exactly as many registers as promised on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip !== false) return;
    const { machine } = one.make();
    machine.builder().kernel('all', (a) => {
      repeat(a.target.vectorRegisters, () => a.newVec());
      repeat(a.target.intRegisters, () => a.newInt());
    });
  });

  test(`builders on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip === false) checkBuilder(one.make().machine);
  });

  test(`every count of lanes in one kernel on ${one.name}`, { skip: one.skip }, () => {
    if (one.skip === false) checkManyCounts(one.make().machine);
  });
}

function checkBuilder(machine: Machine): void {
  const builder = machine.builder();
  const first = builder.kernel('same', () => {});
  const again = builder.kernel('same', () => assert.fail('generated twice'));
  const other = builder.kernel('other', () => {});
  assert.equal(first, again);
  assert.notEqual(first, other);
  assert.throws(() => builder.kernel('fails', () => assert.fail('inside')));
  const code = machine.load(builder);
  code.call(first, 1024);
  assert.throws(() => code.entry(7 as KernelId), EngineError);
  assert.throws(() => machine.load(builder), EngineError);
  assert.throws(() => builder.kernel('late', () => {}), EngineError);
  const stranger =
    machine.kind === 'wasm'
      ? new X64Code({ target: avx2(), convention: systemV, futex: false })
      : new WasmCode(wasmTarget(false), false);
  assert.throws(() => machine.load(stranger), /builder of another machine/);
  code.dispose();
}

function avx2(): NonNullable<ReturnType<typeof x64Target>> {
  const target = x64Target({ avx2: true, avx512: false, avx512Bf16: false, amxBf16: false });
  assert.ok(target);
  return target;
}

/** More counts than AVX-512 keeps masks for. Copies n lanes for every n. */
function checkManyCounts(machine: Machine): void {
  const { lanes } = machine.target;
  const builder = machine.builder();
  const kernel = builder.kernel('counts', (a) => {
    const [from, to, vec] = [a.slot(1), a.slot(2), a.newVec()];
    a.loop(2, () => {
      for (let n = 1; n <= lanes; n++) {
        a.load(vec, at(from), n);
        a.store(at(to, n * lanes * 4), vec);
        a.store(at(to, (lanes + 1 + n) * lanes * 4), vec, n);
      }
    });
  });
  const code = machine.load(builder);
  const block = machine.allocate(64 + lanes * 4 * (2 * lanes + 4));
  const view = block.view(0, block.bytes);
  const numbers = new Float32Array(view.buffer, view.byteOffset + 64, (block.bytes - 64) / 4);
  numbers.fill(-1);
  for (let i = 0; i < lanes; i++) numbers[i] = i + 1;
  const start = block.address + 64;
  const slots = [code.entry(kernel), start, start + lanes * 4].map(BigInt);
  new BigInt64Array(view.buffer, view.byteOffset, 3).set(slots);
  code.call(kernel, block.address);
  for (let n = 1; n <= lanes; n++)
    for (let lane = 0; lane < lanes; lane++) {
      assert.equal(numbers[(n + 1) * lanes + lane], lane < n ? lane + 1 : 0, `load ${n}, lane ${lane}`);
      assert.equal(
        numbers[(lanes + 2 + n) * lanes + lane],
        lane < n ? lane + 1 : -1,
        `store ${n}, lane ${lane}`,
      );
    }
  code.dispose();
  block.free();
}

test('modules validate, with and without shared memory', {
  skip: !wasmFeatures().simd && 'no SIMD here',
}, () => {
  for (const shared of [false, true]) {
    const code = new WasmCode(wasmTarget(false), shared);
    repeat(300, () =>
      code.kernel(`k${code.kernelCount}`, (a) => a.storeBf16(at(a.slot(200), 300), a.newVec(), 3)),
    );
    assert.equal(code.kernelCount, 300);
    assert.equal(WebAssembly.validate(code.finish()), !shared || wasmFeatures().threads);
  }
});

test('a WebAssembly machine without shared memory runs one thread and says so of more', () => {
  const machine = createWasmMachine({ relaxed: false, shared: false, maximumBytes: 2 ** 20 });
  const builder = machine.builder();
  builder.kernel('nothing', () => {});
  const code = machine.load(builder);
  code.runAlone(1024, 0);
  assert.throws(() => code.runShared(1024), /runShared needs a machine with shared memory/);
  const small = machine.allocate(1000);
  assert.equal(small.address % 64, 0);
  assert.throws(() => small.view(0, 1001), EngineError);
  assert.throws(() => machine.allocate(2 ** 20), /1048576; raise maximumBytes/);
});
