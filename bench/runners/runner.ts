/** An engine with a net and a batch of pictures in it. */
export interface Runner {
  /** Version, the threads it says it uses, … */
  readonly info: Readonly<Record<string, string | number>>;
  /** Pictures in, logits out: feeding and reading are part of what is timed, changes of layout are not. */
  readonly run: () => Promise<Float32Array>;
}

export interface TimeRequest {
  readonly runs: number;
  /** Of these, not reported. */
  readonly warmUp: number;
}

/** @returns milliseconds of each run after the warm-up */
export async function timeRuns(runner: Runner, { runs, warmUp }: TimeRequest): Promise<readonly number[]> {
  const milliseconds: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await runner.run();
    if (i >= warmUp) milliseconds.push(performance.now() - start);
  }
  return milliseconds;
}

function hasMembers<M>(module: unknown, members: readonly (keyof M & string)[]): module is M {
  return typeof module === 'object' && module !== null && members.every((name) => name in module);
}

/**
 * What was loaded as what is used of it, which this project's type checker does not know.
 * @param members that it must have; their types are the caller's word
 */
export function withMembers<M>(module: unknown, what: string, members: readonly (keyof M & string)[]): M {
  if (!hasMembers<M>(module, members))
    throw new Error(`bench/rivals: ${what} must have ${members.join(', ')}; install it anew.`);
  return module;
}
