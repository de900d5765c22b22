/**
 * Keeps helper threads off the processor of the thread they help, on Linux. The scheduler wakes a thread beside
 * the one that wakes it, and where it knows of no cache that processors share (most virtual machines tell of none)
 * it does not look for an idle processor: for some 10 ms both threads then take turns on one.
 */
import type { ThreadPlacement } from '../../engine/cpu/thread-placement.ts';
import type { Koffi, LoadKoffi } from './executable-memory.ts';

/** Room for 1024 processors, as in glibc's cpu_set_t. */
const SET_BYTES = 128;

/** @returns undefined where the system is not Linux, or is and will not say */
export async function openThreadPlacement(
  loadKoffi: LoadKoffi = () => import('koffi'),
): Promise<ThreadPlacement | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    return linuxPlacement(await loadKoffi());
  } catch {
    return undefined; // no koffi, or a C library without these functions
  }
}

function linuxPlacement(koffi: Koffi): ThreadPlacement | undefined {
  const libc = koffi.load(null);
  const processorOfThread = libc.func('int sched_getcpu()');
  const threadNumber = libc.func('int gettid()');
  const getAffinity = libc.func('int sched_getaffinity(int thread, size_t bytes, _Out_ uint8_t *set)');
  const setAffinity = libc.func('int sched_setaffinity(int thread, size_t bytes, const uint8_t *set)');
  const allowed = new Uint8Array(SET_BYTES);
  if (getAffinity(0, SET_BYTES, allowed) !== 0) return undefined;
  return {
    thread: () => Number(threadNumber()),
    processor: () => Number(processorOfThread()),
    keepOff: (thread, processor) => {
      const set = allowed.slice();
      const byte = Math.floor(processor / 8);
      set[byte] = (set[byte] ?? 0) & ~(1 << (processor % 8));
      if (set.some((bits) => bits !== 0)) setAffinity(thread, SET_BYTES, set);
    },
  };
}
