import assert from 'node:assert/strict';
import type { Int, VectorAssembler } from '../../src/assembler/vector-assembler.ts';
import type { TestMachine } from './machines.ts';

/** A case: bytes in, what to emit, and a check of the bytes that came out. */
export interface InstructionCase {
  readonly name: string;
  readonly input: ArrayBufferView;
  readonly outputBytes: number;
  readonly emit: (a: VectorAssembler, input: Int, output: Int) => void;
  readonly check: (output: DataView) => void;
}

export const f32At = (output: DataView, index: number): number => output.getFloat32(index * 4, true);

function bits(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0);
}

/** Same bits, or both NaN. */
export function assertSame(actual: number, expected: number, what: string): void {
  const same = Number.isNaN(expected) ? Number.isNaN(actual) : bits(actual) === bits(expected);
  assert.ok(same, `${what}: expected ${expected}, found ${actual}`);
}

/** Generates all cases into one code, loads it, runs each. */
export function runCases({ machine }: TestMachine, cases: readonly InstructionCase[]): void {
  const builder = machine.builder();
  const prepared = cases.map((one) => {
    const kernel = builder.kernel(one.name, (a) => {
      const input = a.slot(1);
      const output = a.slot(2);
      one.emit(a, input, output);
    });
    const bytes = one.input.byteLength + one.outputBytes;
    return { one, kernel, block: machine.allocate(64 + bytes + 64) };
  });
  const code = machine.load(builder);
  for (const { one, kernel, block } of prepared) {
    const { input } = one;
    const start = 64;
    const outputAt = start + input.byteLength;
    const bytes = block.view(0, block.bytes);
    bytes.set(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), start);
    bytes.fill(0xa5, outputAt);
    const record = new BigInt64Array(bytes.buffer, bytes.byteOffset, 3);
    record.set([code.entry(kernel), block.address + start, block.address + outputAt].map(BigInt));
    code.call(kernel, block.address);
    try {
      one.check(new DataView(bytes.buffer, bytes.byteOffset + outputAt, one.outputBytes));
    } catch (error) {
      throw new Error(`${machine.target.name}: ${one.name}`, { cause: error });
    }
    assert.ok(
      bytes.subarray(outputAt + one.outputBytes).every((byte) => byte === 0xa5),
      `${one.name} wrote past its output`,
    );
    block.free();
  }
  code.dispose();
}
