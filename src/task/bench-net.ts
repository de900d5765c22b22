import type {
  CompileOptions,
  Engine,
  NamedTensors,
  Session,
  SessionInfo,
  TaskProfile,
} from '../engine/engine.ts';
import { EngineError, UsageError } from '../errors.ts';
import { graphCost } from '../graph/cost.ts';
import { type CheckedGraph, valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import { probeBatch } from './compare-nets.ts';
import { pause, type Timing, timeRun, timingOf } from './timing.ts';

export interface BenchOptions extends Omit<CompileOptions, 'profile'> {
  /** How long to time, default 3. Not together with `runs`. */
  readonly seconds?: number;
  /** How many runs to time. */
  readonly runs?: number;
}

export interface NetBench {
  readonly compileMs: number;
  /** Undefined from an engine that does not tell. */
  readonly info: SessionInfo | undefined;
  /** Untimed runs before the timed ones. */
  readonly warmUp: { readonly runs: number; readonly ms: number };
  /** Tensors in, tensors out. */
  readonly latency: Timing;
  /** Pictures over the time of all timed runs. */
  readonly imagesPerSecond: number;
  /** Multiply-accumulates of one run. */
  readonly macs: number;
  /** 2 · MACs over the median, 10⁹ a second. */
  readonly gflops: number;
}

/** The same for every net, machine and engine: threads start, code gets hot, clocks settle. */
const warmUpMilliseconds = 500;
const leastWarmUpRuns = 2;

/**
 * Compiles a net of any inputs and times its runs on seeded random tensors.
 * @throws UsageError for a number of runs or seconds that is not above 0; what the engine throws on compiling
 */
export async function benchNet(engine: Engine, net: Net, options: BenchOptions = {}): Promise<NetBench> {
  const enough = stopRule(options);
  const start = performance.now();
  const session = await engine.compile(net.graph, net.weights, options);
  const compileMs = performance.now() - start;
  try {
    const run = await runnerOf(session, net.graph);
    const warmUp = await warm(run);
    const times = await timeUntil(run, enough);
    const { macs } = graphCost(net.graph);
    const latency = timingOf(times);
    return {
      compileMs,
      info: session.info,
      warmUp,
      latency,
      imagesPerSecond: (1000 * batchOf(net.graph) * times.length) / total(times),
      macs,
      gflops: (2 * macs) / latency.median / 1e6,
    };
  } finally {
    session.dispose();
  }
}

/**
 * Times of every task, from a session of its own: tasks run one by one there, which costs a little.
 * @throws EngineError when the engine keeps no profile
 */
export async function profileNet(
  engine: Engine,
  net: Net,
  options: BenchOptions = {},
): Promise<readonly TaskProfile[]> {
  const enough = stopRule(options);
  const session = await engine.compile(net.graph, net.weights, { ...options, profile: true });
  try {
    if (session.profile === undefined)
      throw new EngineError(`engine ${engine.name}: keeps no profile; use engine cpu.`);
    const run = await runnerOf(session, net.graph);
    await warm(run);
    const before = session.profile();
    await timeUntil(run, enough);
    return session.profile().map((task, i) => ({
      ...task,
      milliseconds: task.milliseconds - (before[i]?.milliseconds ?? 0),
      runs: task.runs - (before[i]?.runs ?? 0),
    }));
  } finally {
    session.dispose();
  }
}

/** Seeded tensors for every input of a graph, as normalized pictures are. */
export function probeInputs(graph: CheckedGraph): NamedTensors {
  return Object.fromEntries(
    graph.inputs.map((id, i) => {
      const { name, shape } = valueAt(graph, id);
      return [name, probeBatch(shape, 1 + i)];
    }),
  );
}

async function runnerOf(session: Session, graph: CheckedGraph): Promise<() => Promise<NamedTensors>> {
  const inputs = probeInputs(graph);
  return () => session.run(inputs);
}

type StopRule = (times: readonly number[]) => boolean;

function stopRule({ runs, seconds }: BenchOptions): StopRule {
  if (runs !== undefined && seconds !== undefined)
    throw new UsageError('bench: give a number of runs or of seconds, not both.');
  if (runs !== undefined && !(Number.isSafeInteger(runs) && runs > 0))
    throw new UsageError(`bench: runs must be a whole number from 1, found ${runs}.`);
  if (seconds !== undefined && !(Number.isFinite(seconds) && seconds > 0))
    throw new UsageError(`bench: seconds must be above 0, found ${seconds}.`);
  if (runs !== undefined) return ({ length }) => length >= runs;
  let spent = 0;
  let counted = 0;
  return (times) => {
    for (; counted < times.length; counted++) spent += times[counted] ?? 0;
    return spent >= 1000 * (seconds ?? 3);
  };
}

async function timeUntil(run: () => Promise<unknown>, enough: StopRule): Promise<readonly number[]> {
  const times: number[] = [];
  let breath = performance.now();
  while (!enough(times)) {
    times.push(await timeRun(run));
    if (performance.now() - breath < 100) continue;
    await pause();
    breath = performance.now();
  }
  return times;
}

/** Runs for the fixed time of warming up. */
export async function warm(run: () => Promise<unknown>): Promise<NetBench['warmUp']> {
  const start = performance.now();
  let runs = 0;
  while (runs < leastWarmUpRuns || performance.now() - start < warmUpMilliseconds) {
    await run();
    await pause();
    runs++;
  }
  return { runs, ms: performance.now() - start };
}

const total = (times: readonly number[]): number => times.reduce((sum, ms) => sum + ms, 0);

/** Pictures of one run: the first dimension of the first input. */
function batchOf(graph: CheckedGraph): number {
  const [input] = graph.inputs;
  return input === undefined ? 1 : (valueAt(graph, input).shape[0] ?? 1);
}
