import type { Engine } from '../../src/engine/engine.ts';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { browserCpuEngine } from '../../src/platform/browser/cpu-engine.ts';

/** The engines that a page can open, by name. */
export const pageEngines: ReadonlyMap<string, () => Promise<Engine>> = new Map([
  ['reference', async () => referenceEngine],
  ['cpu', async () => browserCpuEngine()],
]);
