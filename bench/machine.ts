import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rivalPath } from './adapters/adapter.ts';

/** Without this a number means nothing. */
export interface MachineReport {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** Instruction sets that engines choose by. */
  readonly flags: readonly string[];
  readonly system: string;
  /** Processes waiting for a core when the run began, by the system's one-minute average. */
  readonly load: number;
  readonly node: string;
  readonly newerNode: string | undefined;
  readonly packages: Readonly<Record<string, string>>;
  readonly commit: string;
  /** Files differ from the commit. */
  readonly dirty: boolean;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const telling =
  /^(avx2|fma|avx512f|avx512vl|avx512_bf16|avx512_fp16|avx512_vnni|avx_vnni|amx_tile|amx_bf16|amx_int8)$/;

function cpuFlags(): readonly string[] {
  if (!existsSync('/proc/cpuinfo')) return [];
  const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  return line.split(' ').filter((flag) => telling.test(flag));
}

function git(...args: readonly string[]): string {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
}

function versionIn(packageFile: string): string | undefined {
  if (!existsSync(packageFile)) return undefined;
  const content: unknown = JSON.parse(readFileSync(packageFile, 'utf8'));
  return typeof content === 'object' && content !== null && 'version' in content
    ? String(content.version)
    : undefined;
}

function packageVersions(): Readonly<Record<string, string>> {
  const require = createRequire(import.meta.url);
  const rivals = ['onnxruntime-web', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm', '@litertjs/core'];
  const files: readonly (readonly [string, string])[] = [
    ['mobileone', join(root, 'package.json')],
    ['onnxruntime-node', join(require.resolve('onnxruntime-node'), '..', '..', 'package.json')],
    ...rivals.map((name) => [name, rivalPath(join(name, 'package.json'))] as const),
  ];
  return Object.fromEntries(
    files.flatMap(([name, file]) => {
      const version = versionIn(file);
      return version === undefined ? [] : [[name, version]];
    }),
  );
}

export function describeMachine(newerNode: string | undefined): MachineReport {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    flags: cpuFlags(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    load: Math.round(100 * (os.loadavg()[0] ?? 0)) / 100,
    node: process.version,
    newerNode,
    packages: packageVersions(),
    commit: git('rev-parse', '--short=12', 'HEAD') || 'unknown',
    dirty: git('status', '--porcelain') !== '',
  };
}
