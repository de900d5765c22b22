/** Which processors threads run on, where the system lets a process decide. */
export interface ThreadPlacement {
  /** The system's number of the calling thread, not 0. */
  readonly thread: () => number;
  /** The processor that the calling thread runs on, or -1. */
  readonly processor: () => number;
  /** From now on the thread runs on any processor but this one; nothing happens where it may run on no other. */
  readonly keepOff: (thread: number, processor: number) => void;
}
