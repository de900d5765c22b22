import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/engine/engine.ts';

const file = new URL('../../src/platform/node/cpu-engine.js', import.meta.url);

/** Value for a test's `skip` option, or the reason of a benchmark row that cannot run. */
export const skipWithoutCpuEngine: false | string = existsSync(fileURLToPath(file))
  ? false
  : 'the cpu engine is not built';

function hasFactory(module: unknown): module is { nodeCpuEngine: () => Promise<Engine> } {
  return typeof module === 'object' && module !== null && 'nodeCpuEngine' in module;
}

/** The CPU engine of this process. */
export async function openCpuEngine(): Promise<Engine> {
  const module: unknown = await import(file.href);
  if (!hasFactory(module)) throw new Error(`${file.href} has no nodeCpuEngine`);
  return module.nodeCpuEngine();
}
