import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeWeights } from '../../src/format/weights-file.ts';
import type { EvalTransform } from '../../src/image/eval-transform.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights, randomStatistics } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { writeNetMetadata } from '../../src/task/net-metadata.ts';
import { seededImage } from './pillow.ts';
import { makePng } from './png.ts';

export const cliPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for one test file, and the built command run in it: offline, with an empty cache of its own. */
export interface CliFolder {
  readonly path: string;
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliResult>;
  remove(): Promise<void>;
}

export async function createCliFolder(): Promise<CliFolder> {
  const path = await mkdtemp(join(tmpdir(), 'mobileone-cli-'));
  const cache = join(path, 'cache');
  const env = { PATH: process.env.PATH ?? '', MOBILEONE_CACHE: cache, MOBILEONE_OFFLINE: '1' };
  return {
    path,
    cache,
    env,
    run: (args, more = {}) =>
      collect(spawn(process.execPath, [cliPath, ...args], { cwd: path, env: { ...env, ...more } })),
    remove: () => rm(path, { recursive: true }),
  };
}

/** All output of a process, and its exit code (null when a signal ended it). */
export function collect(child: ChildProcess): Promise<CliResult> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const smallTransform: EvalTransform = {
  resize: { kind: 'exact', width: 32, height: 32 },
  crop: null,
  interpolation: 'bilinear',
  scale: 255,
  mean: [120, 115, 100],
  std: [60, 55, 50],
};

export const smallLabels = [
  'ant',
  'bee',
  'café au lait, a very long name for such a small thing',
  'dog',
  'eel',
];

/** A net of five classes on 32×32 pixels, train form, with squeeze-excite, timm's names: milliseconds to run. */
export function smallNetFile(): Uint8Array {
  const config = mobileOneConfig('s0', {
    widths: [0.25, 0.25, 0.125, 0.0625],
    pairs: [1, 2, 1, 1],
    squeezeExcite: [0, 0, 1, 0],
    branches: 2,
    classes: smallLabels.length,
  });
  const graph = buildMobileOne(config, { form: 'train', height: 32, width: 32 });
  const fresh = initialWeights(graph, 'timm', 1);
  // A classifier that tells pictures apart; a fresh one is almost flat.
  const head = fresh.get('head.weight');
  const strong = head
    ? { shape: head.shape, data: head.data.map((x) => 200 * x) as Float32Array }
    : undefined;
  const weights = randomStatistics(graph, strong ? new Map([...fresh, ['head.weight', strong]]) : fresh, 2);
  return writeWeights(
    weights,
    'timm',
    writeNetMetadata({ name: 'small', labels: smallLabels, transform: smallTransform }),
  );
}

/** A PNG of seeded pixels. */
export function pictureFile(seed: number, width = 40, height = 32): Uint8Array {
  const { data } = seededImage(width, height, seed);
  const rows = new Uint8Array(height * (1 + 3 * width));
  for (let y = 0; y < height; y++)
    rows.set(data.subarray(y * 3 * width, (y + 1) * 3 * width), y * (1 + 3 * width) + 1);
  return makePng({ width, height, rows });
}
