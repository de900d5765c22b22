import { CodeBuffer } from '../code-buffer.ts';

/** Constants that code reads relative to its own position; equal ones are stored once. */
export class ConstantPool {
  readonly #buffer = new CodeBuffer(256);
  readonly #offsets = new Map<string, number>();
  readonly #scratch = new DataView(new ArrayBuffer(4));

  /** 32-bit words, repeated `times`; their offset in the pool is a multiple of their size. */
  words(words: readonly number[], times = 1): number {
    const key = `${times}:${words.join()}`;
    const known = this.#offsets.get(key);
    if (known !== undefined) return known;
    const align = Math.min(64, 2 ** Math.ceil(Math.log2(words.length * times * 4)));
    this.#buffer.fill(0, -this.#buffer.length & (align - 1));
    const offset = this.#buffer.length;
    for (let i = 0; i < times; i++) for (const word of words) this.#buffer.u32(word);
    this.#offsets.set(key, offset);
    return offset;
  }

  f32(value: number, times = 1): number {
    this.#scratch.setFloat32(0, value);
    return this.words([this.#scratch.getUint32(0)], times);
  }

  view(): Uint8Array {
    return this.#buffer.view();
  }
}
