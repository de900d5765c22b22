/** Operands in memory, and the constants that code reads beside itself. */

/** Memory operand; base POOL means `offset` bytes into the constant pool. */
export interface Memory {
  readonly base: number;
  readonly offset: number;
  readonly index: number | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly broadcast: boolean;
}

export const POOL = -1;

export function memory(base: number, offset = 0): Memory {
  return { base, offset, index: undefined, scale: 1, broadcast: false };
}

export function pool(offset: number, broadcast = false): Memory {
  return { base: POOL, offset, index: undefined, scale: 1, broadcast };
}

/** A displacement at `position` that must become the pool's distance from the instruction's end. */
export interface PoolFixup {
  readonly position: number;
  readonly bytesAfter: number;
}
