/** The CPU engine with the ops of training, for pages that train. It shares threads with `browserCpuEngine`. */
import { createCpuEngine } from '../../engine/cpu/cpu-engine.ts';
import { lowerTraining } from '../../engine/cpu/lower-training.ts';
import type { Engine } from '../../engine/engine.ts';
import { type BrowserCpuOptions, browserCpuParts } from './cpu-engine.ts';

let engine: Engine | undefined;

/** One engine for this page or worker; it runs nets as well. */
export function browserTrainingEngine(options: BrowserCpuOptions = {}): Engine {
  engine ??= createCpuEngine({ ...browserCpuParts(options), training: lowerTraining });
  return engine;
}
