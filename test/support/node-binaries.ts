import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface NodeBinary {
  readonly path: string;
  /** E.g. `v24.1.0`. */
  readonly version: string;
}

const installed = fileURLToPath(new URL('../../../bench/rivals/node_modules', import.meta.url));

/** Why there is none, for a skip. */
export const noNewerNode =
  'no Node 22 or newer (npm run bench:rivals:install, or set NODE22 to the path of one)';

function versionOf(path: string): string | undefined {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  const version = stdout?.trim() ?? '';
  return status === 0 && /^v\d+\.\d+\.\d+/.test(version) ? version : undefined;
}

const majorOf = (version: string): number => Number.parseInt(version.slice(1), 10);

/** Node 22 and newer on this machine: `NODE22`, those beside the benchmark's rivals, and this one, newest last. */
export function newerNodes(): readonly NodeBinary[] {
  const packages = existsSync(installed)
    ? readdirSync(installed).filter((name) => /^node\d+-/.test(name))
    : [];
  const places = [
    process.env.NODE22,
    ...packages.map((name) => join(installed, name, 'bin', 'node')),
    process.execPath,
  ];
  const found = places.flatMap((path) => {
    const version = path === undefined || !existsSync(path) ? undefined : versionOf(path);
    return path === undefined || version === undefined || majorOf(version) < 22 ? [] : [{ path, version }];
  });
  const byMajor = new Map(found.toReversed().map((binary) => [majorOf(binary.version), binary]));
  return [...byMajor.values()].sort((a, b) => majorOf(a.version) - majorOf(b.version));
}
