import type { LoadedCode } from '../../assembler/machine.ts';

/** Threads that help a session's runs; platforms implement it. */
export interface ThreadPool {
  /** Processors this process may use. */
  readonly cores: number;
  /** Whether the calling thread may sleep (not on a page's main thread). */
  readonly mayWait: boolean;
  /**
   * Makes code known to up to `helpers` threads, which start when first needed and are never waited for.
   * @param control address of the session's control block
   * @param setStop writes the control block's `stop`
   */
  readonly register: (
    code: LoadedCode,
    control: number,
    setStop: (stop: 0 | 1) => void,
    helpers: number,
  ) => ServedCode;
  /** Ends the threads as soon as they have nothing to finish; sessions go on alone. */
  readonly dispose: () => void;
}

/** One session's code as helpers see it. */
export interface ServedCode {
  /** To be called before every shared run: helpers turn to this code. */
  readonly summon: () => void;
  /** Helpers leave this code; `whenLeft` is called once none can touch its memory any more. */
  readonly release: (whenLeft: () => void) => void;
}
