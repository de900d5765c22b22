import { readFileSync } from 'node:fs';

/** The package's own version; this file is `dist/src/cli/package-version.js` in it. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version }: { version: string } = JSON.parse(text);
  return version;
}
