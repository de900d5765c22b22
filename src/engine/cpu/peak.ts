import { EngineError } from '../../errors.ts';
import { graphBuilder } from '../../graph/builder.ts';
import { peakKind, planPeak } from '../../kernel/product/peak.ts';
import { zeros } from '../../tensor/tensor.ts';
import type { CpuEngineParts } from './cpu-engine.ts';
import { lower } from './lower.ts';
import { createSession } from './session.ts';

export interface PeakOptions {
  /** Name of a target. */
  readonly target: string;
  readonly threads: number;
  readonly precision: 'f32' | 'bf16';
}

/** Per thread: a helper that comes late leaves little undone. */
const tilesPerThread = 16;
const rounds = 40;
const runsPerRound = 3;

/**
 * The most that this machine does with a target, GFLOP/s: multiply-adds on registers, on all threads at once, the
 * fastest of many short runs.
 * @throws EngineError for a target that is not here
 */
export async function measurePeak(parts: CpuEngineParts, options: PeakOptions): Promise<number> {
  const provider = parts.machines.find(({ target }) => target.name === options.target);
  if (provider === undefined)
    throw new EngineError(`peak: target "${options.target}" is not to be had here.`);
  const { target } = provider;
  const tiles = options.threads * tilesPerThread;
  const b = graphBuilder('peak');
  const shape = [1, 16 * tiles];
  b.output('y', b.node('activation', 'y', { fn: 'relu' }, [b.input('x', shape)]));
  const graph = b.finish();
  const program = lower(graph, new Map(), target);
  const plan = planPeak(target, peakKind(target, options.precision), tiles);
  const session = createSession({
    graph,
    parameters: new Map(),
    program: { ...program, tasks: program.tasks.map((task) => ({ ...task, plan, inPlace: [] })) },
    provider,
    threads: options.threads,
    pool: options.threads > 1 ? parts.pool : undefined,
    profile: false,
  });
  try {
    const ms = await fastest(() => void session.runSync?.({ x: zeros(shape) }));
    return plan.flops / ms / 1e6;
  } finally {
    session.dispose();
  }
}

async function fastest(run: () => void): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < runsPerRound; i++) {
      const start = performance.now();
      run();
      least = Math.min(least, performance.now() - start);
    }
    await new Promise((resolve) => setTimeout(resolve, 1)); // threads start in the meantime
  }
  return least;
}
