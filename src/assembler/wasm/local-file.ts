import { RegisterFile } from '../register-file.ts';
import type { Emitter, ValueType } from './emitter.ts';

/** Registers that stand for locals; a local is made when its register is first taken. */
export class LocalFile {
  readonly #file: RegisterFile;
  readonly #locals: number[] = [];
  readonly #emitter: Emitter;
  readonly #type: ValueType;

  constructor(kind: string, count: number, type: ValueType, emitter: Emitter) {
    this.#file = new RegisterFile(
      kind,
      Array.from({ length: count }, (_, i) => i),
    );
    this.#type = type;
    this.#emitter = emitter;
  }

  take(): number {
    const register = this.#file.take();
    const local = this.#locals[register] ?? this.#emitter.newLocal(this.#type);
    this.#locals[register] = local;
    return local;
  }

  free(local: number): void {
    this.#file.free(this.#locals.indexOf(local));
  }
}
