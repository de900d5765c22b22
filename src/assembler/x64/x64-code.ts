/** Collects kernels for x86-64 into one image: code, then the constants it reads. */
import { EngineError } from '../../errors.ts';
import { CodeBuffer } from '../code-buffer.ts';
import type { CodeBuilder, KernelId } from '../machine.ts';
import type { KernelGenerator } from '../vector-assembler.ts';
import { Avx2Assembler } from './avx2.ts';
import { Avx512Assembler } from './avx512.ts';
import { ConstantPool } from './constant-pool.ts';
import { Encoder } from './encoder.ts';
import type { PoolFixup } from './operand.ts';
import type { CallingConvention } from './registers.ts';
import { emitRunner, type RunnerEntries } from './runner/runner.ts';
import type { X64Assembler, X64Context } from './x64-assembler.ts';
import type { X64Target } from './x64-target.ts';

/** Kernel bodies start at multiples of this, so that aligned loops stay aligned. */
const BODY_ALIGNMENT = 64;
const INT3 = 0xcc;

export interface X64Image {
  readonly bytes: Uint8Array;
  /** Offset of each kernel's first instruction. */
  readonly kernels: readonly number[];
  readonly runner: RunnerEntries;
}

export interface X64CodeOptions {
  readonly target: X64Target;
  readonly convention: CallingConvention;
  readonly futex: boolean;
}

export class X64Code implements CodeBuilder {
  readonly target: X64Target;
  readonly #options: X64CodeOptions;
  readonly #pool = new ConstantPool();
  readonly #image = new CodeBuffer(1 << 16);
  readonly #fixups: PoolFixup[] = [];
  readonly #starts: number[] = [];
  readonly #byName = new Map<string, KernelId>();
  #finished = false;

  constructor(options: X64CodeOptions) {
    this.target = options.target;
    this.#options = options;
  }

  get codeBytes(): number {
    return this.#image.length;
  }

  kernel(name: string, generate: KernelGenerator): KernelId {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#finished)
      throw new EngineError(`assembler: kernel ${name} comes after its code was loaded`, { name });
    const context: X64Context = {
      target: this.target,
      convention: this.#options.convention,
      pool: this.#pool,
    };
    const assembler: X64Assembler =
      this.target.name === 'avx512' ? new Avx512Assembler(context) : new Avx2Assembler(context);
    generate(assembler);
    const prologue = new Encoder();
    assembler.prologue(prologue);
    assembler.epilogue(assembler.encoder);
    this.#image.fill(INT3, -(this.#image.length + prologue.code.length) & (BODY_ALIGNMENT - 1));
    const id = this.#starts.length as KernelId;
    this.#starts.push(this.#image.length);
    this.#append(prologue);
    this.#append(assembler.encoder);
    this.#byName.set(name, id);
    return id;
  }

  #append(encoder: Encoder): void {
    const start = this.#image.length;
    for (const { position, bytesAfter } of encoder.fixups)
      this.#fixups.push({ position: position + start, bytesAfter });
    this.#image.bytes(encoder.code.view());
  }

  finish(): X64Image {
    if (this.#finished) throw new EngineError('assembler: this code was already loaded; build it anew');
    this.#finished = true;
    const image = this.#image;
    image.fill(INT3, -image.length & (BODY_ALIGNMENT - 1));
    const runnerStart = image.length;
    const { code, entries } = emitRunner(this.#options);
    image.bytes(code);
    image.fill(INT3, -image.length & (BODY_ALIGNMENT - 1));
    const poolStart = image.length;
    image.bytes(this.#pool.view());
    const view = new DataView(image.view().buffer);
    for (const { position, bytesAfter } of this.#fixups) {
      const offset = view.getUint32(position, true);
      view.setInt32(position, poolStart + offset - (position + 4 + bytesAfter), true);
    }
    const at = (offset: number): number => runnerStart + offset;
    return {
      bytes: image.copy(),
      kernels: this.#starts,
      runner: {
        runAlone: at(entries.runAlone),
        runShared: at(entries.runShared),
        serve: at(entries.serve),
        wake: at(entries.wake),
      },
    };
  }
}
