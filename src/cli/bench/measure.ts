import { measurePeak } from '../../engine/cpu/peak.ts';
import type { CompileOptions, Engine, TaskProfile } from '../../engine/engine.ts';
import { type CheckedGraph, valueAt } from '../../graph/graph.ts';
import { nodeCpuParts } from '../../platform/node/cpu-engine.ts';
import { benchNet, type NetBench, profileNet } from '../../task/bench-net.ts';
import type { RaceSchedule } from '../../task/race.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { type MachineFacts, machineFacts } from '../doctor/machine.ts';
import { type Subject, weightBytes } from './subject.ts';
import { raceOnnxRuntime, requireRival, type Versus } from './versus.ts';

export interface LayerFacts {
  readonly name: string;
  readonly ops: string;
  readonly shape: Shape;
  /** One run. */
  readonly ms: number;
  /** Of the time of all layers. */
  readonly share: number;
  readonly gflops: number;
}

/** Everything that a bench reports. */
export interface Findings {
  readonly subject: Subject;
  readonly machine: MachineFacts;
  readonly engine: string;
  readonly precision: string;
  readonly threads: number;
  readonly bench: NetBench;
  /** GFLOP/s; undefined for an engine that emits no code. */
  readonly peak: number | undefined;
  /** Of this process, before anything else than the net was measured. */
  readonly peakRssBytes: number;
  readonly weightBytes: number;
  readonly profile: readonly LayerFacts[] | undefined;
  readonly versus: Versus | undefined;
}

export interface Wanted {
  readonly profile: boolean;
  readonly versus: boolean;
}

export async function measure(
  subject: Subject,
  [engine, options]: readonly [Engine, CompileOptions],
  schedule: RaceSchedule,
  wanted: Wanted,
): Promise<Findings> {
  if (wanted.versus) await requireRival();
  const { net } = subject;
  const bench = await benchNet(engine, net, { ...options, ...schedule });
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  const threads = bench.info?.threads ?? 1;
  const precision = options.precision ?? 'f32';
  return {
    subject,
    machine: await machineFacts(),
    engine: engine.name,
    precision,
    threads,
    bench,
    peak: await peakOf(bench, precision.startsWith('bf16') ? 'bf16' : 'f32'),
    peakRssBytes,
    weightBytes: weightBytes(net.weights),
    profile: wanted.profile
      ? layersOf(await profileNet(engine, net, { ...options, ...schedule }), net.graph)
      : undefined,
    versus: wanted.versus
      ? await raceOnnxRuntime(engine, net, { ...options, ...schedule }, threads)
      : undefined,
  };
}

async function peakOf({ info }: NetBench, precision: 'f32' | 'bf16'): Promise<number | undefined> {
  if (info === undefined) return undefined;
  const { target, threads } = info;
  return measurePeak(await nodeCpuParts(), { target, threads, precision });
}

function layersOf(profile: readonly TaskProfile[], graph: CheckedGraph): readonly LayerFacts[] {
  const shapes = new Map(
    graph.nodes.map(({ name, outputs: [id] }) => [name, id === undefined ? [] : valueAt(graph, id).shape]),
  );
  const total = profile.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return profile.map(({ name, ops, milliseconds, runs, flops }) => {
    const ms = milliseconds / runs;
    return {
      name,
      ops,
      shape: shapes.get(name) ?? [],
      ms,
      share: milliseconds / total,
      gflops: flops / ms / 1e6,
    };
  });
}
