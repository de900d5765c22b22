/**
 * Memory that the emitted runner reads: steps, tile records and the control block that threads share. All fields
 * are 8 bytes wide, little endian, on every target; a 32-bit field is the low half.
 *
 * Tiles of all steps are numbered through. A thread takes the next number only when every tile of the steps
 * before is done, so nobody waits while holding work and no thread is ever waited for as such:
 *
 *     state   generation (high 32) | 1 + next tile (low 32; 0 between runs), moved by compare-and-exchange: a
 *             helper that overslept a run finds another generation and takes nothing
 *     done    tiles finished in this run; a step may start when done ≥ its first tile
 *
 * A late helper may still read steps (never records, arena or weights) after a run has returned: memory that
 * holds steps, the control block and code may go only once `active` is 0 and no thread is in `serve`.
 */

/** A step: tiles firstTile … endTile−1, where firstTile is the endTile of the step before. */
export const STEP_BYTES = 32;
export const STEP = {
  endTile: 0,
  /** Address of the first tile's record. */
  records: 8,
  /** Bytes from one record to the next. */
  recordStride: 16,
  /** Records that make one tile, at least 1: one thread calls them in order. */
  calls: 24,
} as const;

/** Must start at a multiple of 64 and be zero at first; JavaScript writes steps … idleMilliseconds. */
export const CONTROL_BYTES = 320;
export const CONTROL = {
  state: 0,
  /** The high half of state: what sleeping helpers watch. */
  generation: 4,
  done: 64,
  /** Threads asleep until a step may start. */
  waiters: 128,
  /** Helpers asleep until a run starts. */
  sleepers: 136,
  /** Helpers that may be reading steps. */
  active: 192,
  steps: 256,
  stepCount: 264,
  /**
   * How long to look before sleeping, 1 … 2³¹: natively in ticks of the processor's clock (a pause takes 10 to 140 of
   * them, by processor), in WebAssembly in looks.
   */
  spins: 272,
  /** WebAssembly only: 1 where the starting thread may sleep (not on a page's main thread). */
  mayWait: 280,
  /** 1 tells helpers to leave `serve`; follow it by `wake`. */
  stop: 288,
  /**
   * Natively, 1 where one helper serves at most: it takes the tiles of a step from the last on, the starting thread from
   * the first. In WebAssembly this gained nothing.
   */
  twoEnded: 304,
  /** How long `serve` sleeps for a run to start before it returns, 1 … 999. */
  idleMilliseconds: 296,
} as const;
