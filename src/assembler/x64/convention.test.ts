/**
 * Windows' calling convention, run on any system: a small frame calls the code as Windows would and looks
 * whether every register that the code must preserve came back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nativeSupport } from '../../platform/node/executable-memory-machine.ts';
import { STEP, STEP_BYTES } from '../runner-layout.ts';
import { at, type VectorAssembler } from '../vector-assembler.ts';
import { Encoder } from './encoder.ts';
import { memory } from './operand.ts';
import { type CallingConvention, RAX, RCX, RDX, RSP, systemV, windows } from './registers.ts';
import { VECTOR, vector } from './vector-encoder.ts';
import { X64Code } from './x64-code.ts';
import { x64Target } from './x64-target.ts';

const support = await nativeSupport();

const STATE_BYTES = 16 * 8 + 16 * 16;

/**
 * frame(state): fills the registers that `convention` preserves from state, calls the function in state[0] with
 * state[1] and state[2], and writes the registers back to state + STATE_BYTES.
 */
function emitFrame(host: CallingConvention, convention: CallingConvention): Uint8Array {
  const e = new Encoder();
  const savedByHost = host.preserved;
  for (const register of savedByHost) e.push(register);
  e.arithmeticConstant('subtract', RSP, 8 + 64);
  const [stateArgument = RAX] = host.arguments;
  e.store(memory(RSP, 48), stateArgument);
  e.move(RAX, stateArgument);
  for (const v of convention.preservedVectors) vector(e, VECTOR.vmovups, 16, v, 0, memory(RAX, 128 + v * 16));
  for (const register of convention.preserved) e.load(register, memory(RAX, register * 8));
  const [first = RCX, second = RDX] = convention.arguments;
  e.load(second, memory(RAX, RDX * 8));
  e.load(first, memory(RAX, RCX * 8));
  e.load(RAX, memory(RAX, RAX * 8));
  e.call(RAX);
  e.load(RAX, memory(RSP, 48));
  for (const register of convention.preserved) e.store(memory(RAX, STATE_BYTES + register * 8), register);
  for (const v of convention.preservedVectors)
    vector(e, VECTOR.vmovupsStore, 16, v, 0, memory(RAX, STATE_BYTES + 128 + v * 16));
  e.arithmeticConstant('add', RSP, 8 + 64);
  for (const register of [...savedByHost].reverse()) e.pop(register);
  e.return();
  return e.code.copy();
}

/** Takes every register there is, and spoils it. */
function greedy(a: VectorAssembler): void {
  const to = a.slot(1);
  const ints = Array.from({ length: a.target.intRegisters - 1 }, (_, i) => a.int(i));
  const vecs = Array.from({ length: a.target.vectorRegisters }, () => a.newVec());
  for (const [i, vec] of vecs.entries()) a.constant(vec, i + 1);
  const [sum, ...others] = vecs;
  if (sum === undefined) return;
  for (const vec of others) a.binary('add', sum, sum, vec);
  a.store(at(to), sum);
  for (const int of ints) a.addInt(int, 1);
}

const skip = support.available ? false : support.reason;
for (const convention of [systemV, windows]) {
  for (const name of ['avx2', 'avx512'] as const) {
    const target = support.available ? x64Target(support.cpu, name) : undefined;
    const reason = skip || (target === undefined && `the processor lacks ${name}`);
    test(`${name} code keeps what ${convention.name} preserves`, { skip: reason }, () => {
      if (!support.available || target === undefined) return;
      const code = new X64Code({ target, convention, futex: false });
      code.kernel('greedy', greedy);
      const image = code.finish();
      const pages = support.memory.execute(image.bytes);
      const frame = support.memory.execute(emitFrame(support.memory.convention, convention));
      const data = support.memory.allocate(8192);
      const words = new BigInt64Array(data.buffer);
      const numbers = new Float32Array(data.buffer, 4096, 16);
      const kernel = pages.address + (image.kernels[0] ?? 0);
      const [record, step, out] = [2048, 3072, 4096];
      words.set([kernel, data.address + out].map(BigInt), record / 8);
      words[(step + STEP.endTile) / 8] = 2n;
      words[(step + STEP.records) / 8] = BigInt(data.address + record);
      words[(step + STEP.recordStride) / 8] = 0n;
      words[(step + STEP.calls) / 8] = 3n;
      words[(step + STEP_BYTES + STEP.endTile) / 8] = 2n;
      const calls = [
        [kernel, data.address + record, 0],
        [pages.address + image.runner.runAlone, data.address + step, 2],
      ];
      for (const [callee = 0, first = 0, second = 0] of calls) {
        numbers.fill(0);
        for (let i = 0; i < STATE_BYTES / 8; i++) words[i] = BigInt(i) * 0x0101_0101_0101n + 7n;
        words.set([callee, first, second].map(BigInt), 0);
        support.memory.invoke(frame.address, data.address, 0);
        const count: number = target.vectorRegisters;
        assert.equal(numbers[0], (count * (count + 1)) / 2);
        for (const register of convention.preserved)
          assert.equal(words[STATE_BYTES / 8 + register], words[register], `register ${register}`);
        for (const v of convention.preservedVectors)
          for (const half of [0, 1])
            assert.equal(words[(STATE_BYTES + 128) / 8 + 2 * v + half], words[16 + 2 * v + half], `xmm${v}`);
      }
      for (const used of [pages, frame, data]) used.free();
    });
  }
}
