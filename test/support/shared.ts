import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** Folder with golden files from other projects: `MOBILEONE_GOLDEN`, or `shared` beside the checkout. */
const root = resolve(process.env.MOBILEONE_GOLDEN ?? join(projectRoot, '..', 'shared'));

export function golden(...parts: string[]): string {
  return join(root, ...parts);
}

/** Value for a test's `skip` option: false when the golden files are there, otherwise the reason. */
export function skipWithout(...parts: string[]): false | string {
  return existsSync(golden(...parts)) ? false : 'golden files absent (set MOBILEONE_GOLDEN to their folder)';
}
