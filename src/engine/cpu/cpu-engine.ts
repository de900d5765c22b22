import { EngineError, UsageError } from '../../errors.ts';
import { type CheckedGraph, valueAt } from '../../graph/graph.ts';
import type { Bf16Convolutions } from '../../kernel/bf16/inference/bf16-row.ts';
import type { RoundedProducts } from '../../kernel/convolution/rounded-products.ts';
import { elementCount, type Weights } from '../../tensor/tensor.ts';
import { bindParameters } from '../bind.ts';
import type { CompileOptions, Engine, Precision, Session } from '../engine.ts';
import { lower, type StoragePrecision } from './lower.ts';
import type { LowerTraining } from './lowered.ts';
import type { MachineProvider } from './machine-provider.ts';
import { inPasses, passGraph } from './pass.ts';
import { createSession } from './session.ts';
import type { ThreadPool } from './thread-pool.ts';

export interface CpuEngineParts {
  /** The fastest first. */
  readonly machines: readonly MachineProvider[];
  /** Absent: every session runs on the caller's thread alone. */
  readonly pool?: ThreadPool | undefined;
  /** `lowerTraining`, for engines that train too. */
  readonly training?: LowerTraining | undefined;
  /** `bf16Convolutions`, for engines whose processors may have them. */
  readonly bf16?: Bf16Convolutions | undefined;
  /** `bf16Products`, for engines that train where processors have them. */
  readonly rounded?: RoundedProducts | undefined;
}

const MAX_THREADS = 64;
/** More threads than this gain nothing at these sizes of net. */
const MAX_AUTO_THREADS = 8;

/** Runs graphs as emitted machine code or WebAssembly. */
export function createCpuEngine(parts: CpuEngineParts): Engine {
  return {
    name: 'cpu',
    compile: async (graph, weights, options) => compile(parts, graph, weights, options),
  };
}

function compile(
  parts: CpuEngineParts,
  graph: CheckedGraph,
  weights: Weights,
  options: CompileOptions = {},
): Session {
  const provider = chooseMachine(parts.machines, options.target);
  const precision = checkPrecision(options.precision ?? 'f32', provider, parts.bf16);
  const wanted = checkThreads(options.threads ?? 'auto', parts.pool);
  const threads = parts.pool && provider.canShare ? wanted : 1;
  const how = { provider, precision, threads, profile: options.profile ?? false };
  const pass = passGraph(graph, threads);
  return pass === undefined
    ? compileWhole(parts, graph, weights, how)
    : inPasses(graph, pass, compileWhole(parts, pass, weights, how));
}

interface HowToCompile {
  readonly provider: MachineProvider;
  readonly precision: StoragePrecision;
  readonly threads: number;
  readonly profile: boolean;
}

function compileWhole(
  { pool, training, bf16, rounded }: CpuEngineParts,
  graph: CheckedGraph,
  weights: Weights,
  { provider, precision, threads, profile }: HowToCompile,
): Session {
  checkSize(graph, provider);
  const parameters = bindParameters(graph, weights);
  const program = lower(graph, parameters, provider.target, precision, { training, bf16, rounded, threads });
  return createSession({
    graph,
    parameters: new Map([...parameters, ...program.known]),
    program,
    provider,
    threads,
    pool: threads > 1 ? pool : undefined,
    profile,
  });
}

function chooseMachine(machines: readonly MachineProvider[], wanted: string | undefined): MachineProvider {
  const found = wanted === undefined ? machines[0] : machines.find(({ target }) => target.name === wanted);
  if (found) return found;
  const names = machines.map(({ target }) => target.name).join(', ') || 'none';
  throw new EngineError(
    wanted === undefined
      ? 'engine cpu: this runtime has neither native code nor WebAssembly SIMD; use the reference engine.'
      : `engine cpu: target "${wanted}" is not to be had here; there is ${names}.`,
    { wanted, available: names },
  );
}

function checkPrecision(
  precision: Precision,
  { target }: MachineProvider,
  bf16: Bf16Convolutions | undefined,
): StoragePrecision {
  if (precision === 'f32') return precision;
  if (precision !== 'bf16' && precision !== 'bf16x2')
    throw new EngineError(
      `engine cpu: precision must be "f32", "bf16" or "bf16x2", found "${precision}"${precision === 'f64' ? '; use the reference engine' : ''}.`,
      { precision },
    );
  if (!bf16?.applies(target))
    throw new EngineError(
      `engine cpu: precision "${precision}" needs native code on a processor with AMX-BF16 or AVX512-BF16; target ${target.name} has neither here. Use precision "f32".`,
      { precision, target: target.name },
    );
  return precision;
}

/** What `threads: 'auto'` means. */
export function autoThreads(pool: ThreadPool | undefined): number {
  return Math.max(1, Math.min(MAX_AUTO_THREADS, pool?.cores ?? 1));
}

function checkThreads(threads: number | 'auto', pool: ThreadPool | undefined): number {
  if (threads === 'auto') return autoThreads(pool);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS)
    throw new UsageError(
      `engine cpu: threads must be "auto" or an integer from 1 to ${MAX_THREADS}, found ${String(threads)}.`,
      { threads },
    );
  return threads;
}

/** Refuses what could never fit before any work is planned for it. */
function checkSize(graph: CheckedGraph, provider: MachineProvider): void {
  const { maximumBytes } = provider;
  const results = [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)];
  for (const value of results) {
    const { name, shape } = valueAt(graph, value);
    const bytes = elementCount(shape) * 4;
    if (bytes > maximumBytes)
      throw new EngineError(
        `engine cpu: graph "${graph.name}": value "${name}" [${shape.join(',')}] takes ${bytes} bytes, target ${provider.target.name} allows ${maximumBytes} for a session; use a smaller batch or picture.`,
        { value: name, needed: bytes, limit: maximumBytes },
      );
  }
}
