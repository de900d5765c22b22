/**
 * Many short runs on one to eight threads: every tile runs exactly once in each run, and no tile starts before
 * all tiles of the step before are done. Workers run this same file.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { allMachines } from '../../test/support/machines.ts';
import { nodeWasmFeatures } from '../platform/node/cpu-features-wasm.ts';
import { openNative } from '../platform/node/executable-memory.ts';
import {
  attachNative,
  createNativeMachine,
  nativeSupport,
} from '../platform/node/executable-memory-machine.ts';
import { createRandom } from '../tensor/random.ts';
import type { LoadedCode, Machine, MachineMemory, SharedCode } from './machine.ts';
import { CONTROL, CONTROL_BYTES, STEP, STEP_BYTES } from './runner-layout.ts';
import { at, type VectorAssembler } from './vector-assembler.ts';
import { attachWasm } from './wasm/wasm-machine.ts';
import { X64Code } from './x64/x64-code.ts';
import { x64Target } from './x64/x64-target.ts';

interface HelperData {
  readonly code: SharedCode;
  readonly control: number;
  readonly invokeAddress: number | undefined;
}

async function help({ code, control, invokeAddress }: HelperData): Promise<void> {
  const functions = await attach(code, invokeAddress);
  parentPort?.postMessage('ready');
  while (!functions.serve(control));
  parentPort?.postMessage('stopped');
}

async function attach(
  code: SharedCode,
  invokeAddress: number | undefined,
): Promise<ReturnType<typeof attachWasm>> {
  if (code.kind === 'wasm') return attachWasm(code);
  const native = await openNative(invokeAddress === undefined ? {} : { invokeAddress });
  assert.ok(native.available, native.available ? '' : native.reason);
  return attachNative(native.memory, code);
}

const RECORD_BYTES = 40;
const CELL_BYTES = 64;
const MAXIMUM_TILES = 24;
const MAXIMUM_CALLS = 3;
const STEPS = 12;
/** Makes a tile long enough for other threads to come in between. */
const REPEATS = 20;

/** Rows of cells after the two that steps hand on: what a call writes for the next one, and how often it ran. */
const ownRow = (step: number, call: number): number => 2 + 2 * (step * MAXIMUM_CALLS + call);
const runsRow = (step: number, call: number): number => ownRow(step, call) + 1;

/** out = min(all cells of the step before) + 1; runs = runs + 1. Slots: in cells, their number, out, runs. */
function tile(a: VectorAssembler): void {
  const [from, count, to, runs] = [a.slot(1), a.slot(2), a.slot(3), a.slot(4)];
  const least = a.newVec();
  const one = a.newVec();
  a.constant(one, 1);
  a.constant(least, 1e30);
  const cell = a.newInt();
  a.loop(REPEATS, () => {
    a.moveInt(cell, from);
    a.loop(count, () => {
      a.binary('minimum', least, least, at(cell));
      a.addInt(cell, CELL_BYTES);
    });
  });
  a.binary('add', least, least, one);
  a.store(at(to), least);
  a.load(least, at(runs));
  a.binary('add', least, least, one);
  a.store(at(runs), least);
}

/**
 * Steps of random sizes over two rows of cells in turn; some steps have no tile or one. Where tiles make several calls,
 * each reads what the one before has written.
 */
class Chain {
  readonly code: LoadedCode;
  readonly control: MachineMemory;
  readonly #steps: MachineMemory;
  readonly #cells: MachineMemory;
  readonly #records: MachineMemory;
  readonly #counts: number[] = [];
  readonly #calls: number[] = [];
  #runs = 0;

  constructor(machine: Machine, seed: number, spins: number) {
    const random = createRandom(seed);
    const builder = machine.builder();
    const kernel = builder.kernel('tile', tile);
    this.code = machine.load(builder);
    this.control = machine.allocate(CONTROL_BYTES);
    this.#steps = machine.allocate(STEPS * STEP_BYTES);
    this.#cells = machine.allocate((2 + 2 * STEPS * MAXIMUM_CALLS) * MAXIMUM_TILES * CELL_BYTES);
    this.#records = machine.allocate(STEPS * MAXIMUM_TILES * MAXIMUM_CALLS * RECORD_BYTES);
    const records = words(this.#records);
    const steps = words(this.#steps);
    let endTile = 0;
    let before = 1;
    let row = 0;
    for (let s = 0; s < STEPS; s++) {
      const count = [0, 1, 2 + random.integer(MAXIMUM_TILES - 1)][Math.min(2, random.integer(8))] ?? 0;
      const calls = 1 + random.integer(MAXIMUM_CALLS);
      this.#counts.push(count);
      this.#calls.push(calls);
      const nextRow = count === 0 ? row : 1 - row;
      const cell = (r: number, c: number): number =>
        this.#cells.address + (r * MAXIMUM_TILES + c) * CELL_BYTES;
      for (let t = 0; t < count; t++)
        for (let c = 0; c < calls; c++) {
          const at = ((s * MAXIMUM_TILES * MAXIMUM_CALLS + t * calls + c) * RECORD_BYTES) / 8;
          const from = c === 0 ? [cell(row, 0), before] : [cell(ownRow(s, c - 1), t), 1];
          const to = c === calls - 1 ? cell(nextRow, t) : cell(ownRow(s, c), t);
          const slots = [this.code.entry(kernel), ...from, to, cell(runsRow(s, c), t)];
          records.set(slots.map(BigInt), at);
        }
      endTile += count;
      const fields: [number, number][] = [
        [STEP.endTile, endTile],
        [STEP.records, this.#records.address + s * MAXIMUM_TILES * MAXIMUM_CALLS * RECORD_BYTES],
        [STEP.recordStride, RECORD_BYTES],
        [STEP.calls, calls],
      ];
      for (const [offset, value] of fields) steps[(s * STEP_BYTES + offset) / 8] = BigInt(value);
      if (count > 0) before = count;
      row = nextRow;
    }
    this.#last = row;
    this.set(CONTROL.steps, this.#steps.address);
    this.set(CONTROL.stepCount, STEPS);
    this.set(CONTROL.spins, spins);
    this.set(CONTROL.mayWait, 1);
    this.set(CONTROL.idleMilliseconds, 20);
  }

  readonly #last: number;

  set(field: number, value: number): void {
    words(this.control)[field / 8] = BigInt(value);
  }

  run(start: (chain: Chain) => void): void {
    const cells = this.#cells.view(0, this.#cells.bytes);
    const numbers = new Float32Array(cells.buffer, cells.byteOffset, cells.length / 4);
    const base = ++this.#runs * 1000;
    numbers.fill(base, 0, CELL_BYTES / 4);
    start(this);
    const busy = this.#calls.filter((_, s) => (this.#counts[s] ?? 0) > 0);
    const lastCount = this.#counts.filter((count) => count > 0).at(-1) ?? 0;
    const total = busy.reduce((sum, calls) => sum + calls, 0);
    const cell = (r: number, c: number): number =>
      numbers[((r * MAXIMUM_TILES + c) * CELL_BYTES) / 4] ?? Number.NaN;
    for (let t = 0; t < lastCount; t++) assert.equal(cell(this.#last, t), base + total, `tile ${t}`);
    for (const [s, count] of this.#counts.entries())
      for (let t = 0; t < count; t++)
        for (let c = 0; c < (this.#calls[s] ?? 0); c++)
          assert.equal(cell(runsRow(s, c), t), this.#runs, `times step ${s} tile ${t} call ${c} ran`);
  }

  get stepsAddress(): number {
    return this.#steps.address;
  }
}

function words(memory: MachineMemory): BigInt64Array {
  const view = memory.view(0, memory.bytes);
  return new BigInt64Array(view.buffer, view.byteOffset, Math.floor(memory.bytes / 8));
}

async function stress(machine: Machine, helpers: number, spins: number, runs: number): Promise<void> {
  const chain = new Chain(machine, helpers * 100 + spins, spins);
  const support = await nativeSupport();
  const data: HelperData = {
    code: chain.code.shared,
    control: chain.control.address,
    invokeAddress: support.available ? support.memory.invokeAddress : undefined,
  };
  const workers = Array.from(
    { length: helpers },
    () => new Worker(new URL(import.meta.url), { workerData: data }),
  );
  const hear = (word: string): Promise<unknown> =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            worker.once('error', reject);
            worker.on('message', (message) => message === word && resolve());
          }),
      ),
    );
  const stopped = hear('stopped');
  await hear('ready');
  for (let i = 0; i < runs; i++) {
    chain.run(({ code, control }) => code.runShared(control.address));
    // Now and then the helpers fall asleep, or leave and come back.
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, i % 100 === 0 ? 30 : 3));
  }
  chain.set(CONTROL.stop, 1);
  chain.code.wake(chain.control.address);
  await stopped;
  assert.equal(words(chain.control)[CONTROL.active / 8], 0n);
  assert.equal(words(chain.control)[CONTROL.waiters / 8], 0n);
  assert.equal(words(chain.control)[CONTROL.sleepers / 8], 0n);
  await Promise.all(workers.map((worker) => worker.terminate()));
  chain.code.dispose();
}

async function defineTests(): Promise<void> {
  for (const one of await allMachines()) {
    if (one.name !== 'avx2' && one.name !== 'wasm') continue; // other targets share these two runners
    test(`one thread without atomics on ${one.name}`, { skip: one.skip }, () => {
      if (one.skip !== false) return;
      const { machine } = one.make();
      for (let seed = 0; seed < 10; seed++) {
        const chain = new Chain(machine, seed, 1);
        for (let i = 0; i < 20; i++)
          chain.run(({ code, stepsAddress }) => code.runAlone(stepsAddress, STEPS));
        chain.code.dispose();
      }
    });
    const noThreads = one.name.startsWith('wasm') && !nodeWasmFeatures().threads && 'no shared memory here';
    for (const [helpers, spins] of [
      [0, 100],
      [1, 300_000],
      [1, 1],
      [3, 50],
      [7, 1],
    ] as const) {
      test(`${helpers} helpers, ${spins} spins on ${one.name}`, { skip: one.skip || noThreads }, async () => {
        if (one.skip === false) await stress(one.make().machine, helpers, spins, 400);
      });
    }
  }
}

/** As on systems other than Linux: threads only spin. */
async function defineSpinningTest(): Promise<void> {
  const support = await nativeSupport();
  const target = support.available ? x64Target(support.cpu, 'avx2') : undefined;
  const skip = support.available ? false : support.reason;
  test('2 helpers that never sleep, natively', { skip }, async () => {
    if (!support.available || target === undefined) return;
    const { convention } = support.memory;
    const builder = (): X64Code => new X64Code({ target, convention, futex: false });
    await stress({ ...createNativeMachine(support, { target: 'avx2' }), builder }, 2, 200, 100);
  });
}

const data: unknown = workerData;
if (isMainThread) {
  await defineTests();
  await defineSpinningTest();
} else await help(data as HelperData);
