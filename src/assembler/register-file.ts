import { EngineError } from '../errors.ts';

/** A set of numbered registers that are taken and given back while code is generated. */
export class RegisterFile {
  readonly #kind: string;
  readonly #order: readonly number[];
  readonly #held: boolean[] = [];
  readonly #used: boolean[] = [];

  /** @param order register numbers, the preferred ones first */
  constructor(kind: string, order: readonly number[]) {
    this.#kind = kind;
    this.#order = order;
  }

  take(): number {
    const register = this.#order.find((each) => !this.#held[each]);
    if (register !== undefined) {
      this.#held[register] = true;
      this.#used[register] = true;
      return register;
    }
    throw new EngineError(
      `assembler: all ${this.#order.length} ${this.#kind} registers are taken; free one or generate a smaller tile`,
      { kind: this.#kind, registers: this.#order.length },
    );
  }

  free(register: number): void {
    if (!this.#held[register]) {
      throw new EngineError(`assembler: ${this.#kind} register ${register} is freed but not held`, {
        kind: this.#kind,
        register,
      });
    }
    this.#held[register] = false;
  }

  /** Was this register ever taken? */
  used(register: number): boolean {
    return this.#used[register] === true;
  }
}
