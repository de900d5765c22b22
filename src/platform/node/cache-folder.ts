import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where downloaded files are kept: `MOBILEONE_CACHE` if set, else the user's cache folder of the system
 * (`XDG_CACHE_HOME`, `~/Library/Caches`, `%LOCALAPPDATA%` or `~/.cache`) with `mobileone` in it.
 */
export function cacheFolder(
  env: Environment = process.env,
  platform: string = process.platform,
  home: string = homedir(),
): string {
  if (env.MOBILEONE_CACHE) return resolve(env.MOBILEONE_CACHE);
  // The XDG specification says to ignore a relative path.
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'mobileone');
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'mobileone');
  if (platform === 'win32')
    return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'mobileone', 'Cache');
  return join(home, '.cache', 'mobileone');
}
