import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { errorText } from '../../image/codec.ts';

/** An optional package: its version, or why it cannot be used. */
export type PackageState =
  | { readonly name: string; readonly usable: true; readonly version: string }
  | { readonly name: string; readonly usable: false; readonly reason: string };

/** Loads a package as the library would: being installed is not enough, native parts must load too. */
export async function packageState(name: string): Promise<PackageState> {
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    return { name, usable: false, reason: 'not installed' };
  }
  try {
    await import(name);
    return { name, usable: true, version: await versionAbove(entry, name) };
  } catch (cause) {
    return { name, usable: false, reason: errorText(cause).split('\n')[0] ?? '' };
  }
}

/** From the nearest package.json of that name above a package's entry; `exports` may hide it from `require`. */
async function versionAbove(entry: string, name: string): Promise<string> {
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}');
    const facts: { readonly name?: unknown; readonly version?: unknown } = JSON.parse(text);
    if (facts.name === name && typeof facts.version === 'string') return facts.version;
  }
  return 'unknown version';
}
