/**
 * A file of the package. This module is `dist/src/platform/package-files.js` in it, or part of `dist/lib/node/*.js`:
 * three folders below the package's own either way.
 */
export function packageFile(path: string): URL {
  return new URL(`../../../${path}`, import.meta.url);
}
