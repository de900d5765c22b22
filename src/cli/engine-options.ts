import { type Command, Option } from 'commander';
import type { CompileOptions, Engine } from '../engine/engine.ts';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { UsageError } from '../errors.ts';
import { nodePlatform } from '../node.ts';
import { threadCount } from './arguments.ts';

export interface EngineFlags {
  readonly engine?: 'cpu' | 'reference';
  readonly threads?: number | 'auto';
  readonly precision?: 'f32' | 'bf16' | 'bf16x2';
  readonly target?: string;
}

export function addEngineOptions(command: Command): Command {
  return command
    .addOption(new Option('--engine <name>', 'what computes; default cpu').choices(['cpu', 'reference']))
    .option('--threads <n>', 'threads of a run; default auto', threadCount)
    .addOption(
      new Option('--precision <type>', 'what tensors hold; default f32').choices(['f32', 'bf16', 'bf16x2']),
    )
    .option('--target <name>', 'instruction set, such as avx2 or wasm; default the fastest here');
}

/** @throws UsageError for options that the engine would pass over in silence */
export async function chooseEngine(flags: EngineFlags): Promise<readonly [Engine, CompileOptions]> {
  const { threads, precision, target } = flags;
  const options: CompileOptions = {
    ...(threads === undefined ? {} : { threads }),
    ...(precision === undefined ? {} : { precision }),
    ...(target === undefined ? {} : { target }),
  };
  if (flags.engine !== 'reference') return [await nodePlatform().engine(), options];
  if (target !== undefined) throw new UsageError('--target: engine reference emits no code; use engine cpu.');
  if (typeof threads === 'number' && threads > 1)
    throw new UsageError(`--threads ${threads}: engine reference has one thread; use engine cpu.`);
  return [referenceEngine, options];
}
