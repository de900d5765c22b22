import { fileURLToPath } from 'node:url';
import type { ResolveOptions } from '../../hub/resolve.ts';
import { packageFile } from '../package-files.ts';
import { cacheFolder, type Environment } from './cache-folder.ts';
import { createDiskStore } from './cache-store.ts';
import { findFile } from './file-source.ts';

/**
 * What `resolveWeights` needs on this machine, from the environment: `MOBILEONE_CACHE` (folder), `MOBILEONE_MIRROR`
 * (address of a folder with the files) and `MOBILEONE_OFFLINE` (`1` or `true`: never touch the network).
 */
export function nodeHubOptions(env: Environment = process.env): ResolveOptions {
  return {
    store: createDiskStore({ folder: cacheFolder(env) }),
    openFile: findFile,
    builtIn: (file) => fileURLToPath(packageFile(`models/${file}`)),
    offline: /^(1|true|yes|on)$/i.test(env.MOBILEONE_OFFLINE ?? ''),
    ...(env.MOBILEONE_MIRROR ? { mirror: env.MOBILEONE_MIRROR } : {}),
  };
}
