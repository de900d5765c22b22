/**
 * Native code that is being loaded on a thread cannot be interrupted: a process that ends meanwhile ends by abort.
 * A gate makes its end wait for a load that has begun, and keeps one that has not from beginning.
 */

const STATE = { waiting: 0, loading: 1, loaded: 2, closed: 3 } as const;
/** Loading takes milliseconds; a thread that hangs must not hold up the end for ever. */
const mostMilliseconds = 10_000;

export type LoadingGate = Int32Array;

const gates = new Set<LoadingGate>();

/** A gate that survives being posted to a thread. The end of this process waits at it until it is forgotten. */
export function createLoadingGate(): LoadingGate {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  if (gates.size === 0) process.on('exit', closeAll);
  gates.add(gate);
  return gate;
}

/** For when the thread has ended. */
export function forgetGate(gate: LoadingGate): void {
  gates.delete(gate);
  if (gates.size === 0) process.off('exit', closeAll);
}

/** Loads on the thread. @returns undefined when the process is ending already */
export async function passGate<T>(gate: LoadingGate, load: () => Promise<T>): Promise<T | undefined> {
  if (Atomics.compareExchange(gate, 0, STATE.waiting, STATE.loading) !== STATE.waiting) return undefined;
  try {
    return await load();
  } finally {
    Atomics.store(gate, 0, STATE.loaded);
    Atomics.notify(gate, 0);
  }
}

function closeAll(): void {
  for (const gate of gates)
    if (Atomics.compareExchange(gate, 0, STATE.waiting, STATE.closed) === STATE.loading)
      Atomics.wait(gate, 0, STATE.loading, mostMilliseconds);
}
