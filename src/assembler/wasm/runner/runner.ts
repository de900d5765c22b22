/**
 * The functions that walk steps and call kernels, as WebAssembly; runner-layout.ts says how threads share work.
 * Those for several threads exist only where memory is shared.
 */
import type { ModuleFunction } from '../module.ts';
import { participate, waitDone } from './participate.ts';
import { call, runAlone } from './run-alone.ts';
import { runShared } from './run-shared.ts';
import { serve, wake } from './serve.ts';

/** @param firstIndex index that the first of these functions gets in its module */
export function runnerFunctions(firstIndex: number, shared: boolean): ModuleFunction[] {
  const alone = [call(), runAlone()];
  if (!shared) return alone;
  const waitDoneIndex = firstIndex + alone.length;
  const participateIndex = waitDoneIndex + 1;
  return [
    ...alone,
    waitDone(),
    participate(waitDoneIndex),
    runShared(waitDoneIndex, participateIndex),
    serve(participateIndex),
    wake(),
  ];
}
