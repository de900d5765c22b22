import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { nodePlatform } from '../../node.ts';
import { cacheFolder } from '../../platform/node/cache-folder.ts';
import { type EngineFacts, engineFacts } from '../doctor/engine-facts.ts';
import { type MachineFacts, machineFacts } from '../doctor/machine.ts';
import { type PackageState, packageState } from '../doctor/packages.ts';
import { packageVersion } from '../package-version.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable } from '../text/layout.ts';
import { byteSize } from '../text/numbers.ts';

/** Everything the report says; also its JSON. */
interface Report {
  readonly version: string;
  readonly node: string;
  readonly machine: MachineFacts;
  readonly engine: EngineFacts;
  readonly decoder: {
    readonly name: string;
    readonly formats: readonly string[];
    readonly note: string | null;
  };
  readonly packages: readonly PackageState[];
  readonly cache: { readonly folder: string; readonly files: number; readonly bytes: number };
  readonly offline: boolean;
  readonly mirror: string | null;
}

export function addDoctor(program: Command, terminal: Terminal): void {
  program
    .command('doctor')
    .summary('say what this machine has')
    .description('Shows what this machine offers and which of it is used.')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  mobileone doctor')
    .action(async (flags: { readonly json?: boolean }) => {
      const report = await examine();
      if (flags.json) terminal.print(JSON.stringify(report, undefined, 2));
      else terminal.print(terminal.bold(`mobileone ${report.version}`), ...lines(report, terminal));
    });
}

async function examine(): Promise<Report> {
  const platform = nodePlatform();
  const { name, formats, note = null } = await platform.decoder();
  const { offline = false, mirror } = platform.hub;
  const packages: PackageState[] = [];
  for (const one of ['sharp', 'koffi', 'onnxruntime-node']) packages.push(await packageState(one));
  return {
    version: packageVersion(),
    node: process.version,
    machine: await machineFacts(),
    engine: await engineFacts(),
    decoder: { name, formats, note },
    packages,
    cache: await cacheState(cacheFolder()),
    offline,
    mirror: typeof mirror === 'string' ? mirror : null,
  };
}

async function cacheState(folder: string): Promise<Report['cache']> {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  const files = found.filter((one) => one?.isFile());
  return { folder, files: files.length, bytes: files.reduce((sum, one) => sum + (one?.size ?? 0), 0) };
}

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

function describeEngine({ used, targets, threads, nativeCode }: EngineFacts): string {
  const [target, ...others] = targets;
  if (target === undefined) return `${used}, which cannot run here; --engine reference can`;
  const slower = nativeCode.usable ? '' : ', WebAssembly as native code is not to be had';
  const rest = others.length > 0 ? `; --target ${others.join(', ')} can be had too` : '';
  return `${used}, ${target}${slower}, ${threads} thread${threads === 1 ? '' : 's'}${rest}`;
}

function lines(report: Report, { width }: Terminal): readonly string[] {
  const { machine, engine, decoder, packages, cache, offline, mirror } = report;
  const { nativeCode, webAssembly } = engine;
  const cores = machine.usableCores === machine.cores ? '' : `, ${machine.usableCores} usable`;
  const list: readonly Fact[] = [
    ['Node', `${report.node}, ${machine.system}`],
    ['processor', `${machine.cpu}, ${machine.cores} cores${cores}`],
    ['features', machine.cpuFeatures.join(' ') || 'unknown on this system'],
    ['memory', `${byteSize(machine.freeMemoryBytes)} free of ${byteSize(machine.memoryBytes)}`],
    [
      'WebAssembly',
      `SIMD ${yesNo(webAssembly.simd)}, relaxed SIMD ${yesNo(webAssembly.relaxedSimd)}, threads ${yesNo(webAssembly.threads)}`,
    ],
    ['native code', nativeCode.usable ? nativeCode.features.join(', ') || 'yes' : `no: ${nativeCode.reason}`],
    ['engine', describeEngine(engine)],
    [
      'pictures',
      `${decoder.name} decoder: ${decoder.formats.join(', ')}${decoder.note ? `; ${decoder.note}` : ''}`,
    ],
    ...packages.map((one): Fact => [one.name, one.usable ? one.version : `no: ${one.reason}`]),
    ['cache', `${cache.folder}, ${cache.files} files, ${byteSize(cache.bytes)}`],
    ['network', offline ? 'offline (MOBILEONE_OFFLINE)' : 'used for downloads'],
    ['mirror', mirror ?? 'none (MOBILEONE_MIRROR)'],
  ];
  return facts(
    list.map(([label, value]) => [label, printable(value)] as const),
    width - 2,
  ).map((line) => `  ${line}`);
}
