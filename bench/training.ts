/**
 * Training steps against PyTorch in one interleaved run: same net, same first weights, same batch. Losses are compared
 * first; a step that computes something else is not timed.
 *
 *     npm run bench:training -- [--net s0] [--rounds 5] [--steps 2] [--batch 32] [--size 128] [--threads 2]
 *                               [--precision bf16]
 *
 * In bf16 PyTorch gets its autocast.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { NamedTensors, Session } from '../src/engine/engine.ts';
import { writeSafetensors } from '../src/format/safetensors/safetensors-write.ts';
import { type MobileOneConfig, mobileOneConfig, type VariantName } from '../src/model/config.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { tensorToRaw } from '../src/tensor/raw.ts';
import type { Tensor, Weights } from '../src/tensor/tensor.ts';
import type { Recipe } from '../src/training/recipe/recipe.ts';
import { type StepRules, targetsInput, trainingStep } from '../src/training/step/classify-step.ts';
import { rateInput } from '../src/training/step/update-step.ts';
import { describeMachine } from './machine.ts';
import { timingOf } from './statistics.ts';
import type { Rival } from './training/rival-process.ts';
import { agreedLosses, rivalRow, sessionRow, type TrainingRow } from './training/rows.ts';
import { startTorch } from './training/torch-rival.ts';

const { values: options } = parseArgs({
  options: {
    net: { type: 'string', multiple: true, default: ['s0', 's1'] },
    branches: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '2' },
    batch: { type: 'string', default: '32' },
    size: { type: 'string', default: '128' },
    threads: { type: 'string', default: '2' },
    target: { type: 'string' },
    merge: { type: 'string', default: 'paying' },
    'no-torch': { type: 'boolean', default: false },
    precision: { type: 'string', default: 'f32' },
    profile: { type: 'boolean', default: false },
    tasks: { type: 'boolean', default: false },
  },
});
const [batch, size, threads] = [Number(options.batch), Number(options.size), Number(options.threads)];
const [rounds, steps] = [Number(options.rounds), Number(options.steps)];
const spec = { batch, size, classes: 20, rate: 0.001, momentum: 0.9, decay: 1e-4, smoothing: 0.1 };
const precision = precisionOption();
/** Losses of the first steps may differ so much, relative: other orders of summation, or bf16. */
const tolerance = precision === 'bf16' ? 0.05 : 2e-3;
const checkedSteps = 3;

/** The batch that rival.py makes too: waves of many kinds, for of pictures that are alike batch norms see only noise. */
function pictures(): Tensor {
  const data = Float32Array.from({ length: batch * size * size * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / (3 * size)) % size];
    const n = Math.floor(i / (3 * size * size));
    const noise = Math.sin(i * 12.9898) * 43758.5453;
    const wave = Math.sin((x * ((n % 7) - 3) + y * ((n % 5) - 2)) * 0.06 * (c + 1) + n);
    return wave + ((n * 7 + c * 5) % 11) / 5 - 1 + 0.5 * (noise - Math.floor(noise));
  });
  return { shape: [batch, size, size, 3], data };
}

function targets(): Tensor {
  const data = new Float32Array(batch * spec.classes);
  for (let i = 0; i < batch; i++) data[i * spec.classes + (i % spec.classes)] = 1;
  return { shape: [batch, spec.classes], data };
}

async function ours(
  config: MobileOneConfig,
  weights: Weights,
  merge: StepRules['mergeBranches'],
): Promise<TrainingRow & { profile: () => readonly TaskTime[] }> {
  const graph = buildMobileOne(config, { form: 'train', batch, height: size, width: size });
  const rules: StepRules = {
    optimizer: { kind: 'sgd', momentum: spec.momentum, nesterov: false },
    decayed: { norms: false, biases: false },
    clip: null,
    average: null,
    layerDecay: 1,
    freeze: 'none',
    loss: { kind: 'crossEntropy', smoothing: spec.smoothing },
    distill: null,
    mergeBranches: merge,
  };
  const step = trainingStep({ graph, weights }, rules);
  const engine = await nodeCpuEngine();
  const start = performance.now();
  const session = await engine.compile(step.graph, step.weights, {
    threads,
    precision,
    profile: options.profile,
    ...(options.target && { target: options.target }),
  });
  const compileMs = performance.now() - start;
  const inputs = {
    [inputName]: pictures(),
    [targetsInput]: targets(),
    [rateInput]: { shape: [2], data: Float32Array.of(spec.rate, spec.decay) },
  };
  const name = `mobileone ${session.info?.target}${precision === 'bf16' ? ' bf16' : ''}${merge === 'paying' ? '' : `, merge ${merge}`}`;
  console.log(
    `${config.name}, ${name}: ${step.graph.nodes.length} nodes, compiled in ${compileMs.toFixed(0)} ms, ${((session.info?.memoryBytes ?? 0) / 2 ** 20).toFixed(0)} MiB`,
  );
  return { ...sessionRow(name, session, inputs), profile: () => medianProfile(session, inputs) };
}

function precisionOption(): Recipe['precision'] {
  const { precision } = options;
  if (precision === 'f32' || precision === 'bf16') return precision;
  throw new Error(`--precision must be f32 or bf16, found ${precision}`);
}

function mergeOption(): StepRules['mergeBranches'] {
  const { merge } = options;
  if (merge === 'all' || merge === 'none' || merge === 'paying') return merge;
  throw new Error(`--merge must be all, none or paying, found ${merge}`);
}

function rival(torch: Rival): TrainingRow {
  return rivalRow(`PyTorch ${torch.version}${precision === 'bf16' ? ' autocast bf16' : ''}`, torch);
}

/**
 * Fresh weights whose blocks change little beside a skip. Without this the first steps of so deep a net are chaotic:
 * PyTorch's own f32 and f64 gradients then differ by a tenth, and no loss could be compared.
 */
function calmWeights(weights: Weights): Weights {
  const branch = /(conv\.\d|scale)\.bn\.gamma$/;
  return new Map(
    [...weights].map(([name, tensor]) =>
      branch.test(name) && weights.has(name.replace(branch, 'skip.bn.gamma'))
        ? [name, { ...tensor, data: tensor.data.map(() => 0.1) as Tensor['data'] }]
        : [name, tensor],
    ),
  );
}

async function race(variant: VariantName, folder: string): Promise<object> {
  const branches = options.branches === undefined ? {} : { branches: Number(options.branches) };
  const config = mobileOneConfig(variant, { classes: spec.classes, ...branches });
  const graph = buildMobileOne(config, { form: 'train' });
  const weights = calmWeights(initialWeights(graph, 'mmpretrain', 1));
  const stages = config.stages.map(({ pairs, channels }) => ({ pairs, channels }));
  const [specFile, weightsFile] = [join(folder, `${variant}.json`), join(folder, `${variant}.safetensors`)];
  const net = { stem: config.stemChannels, branches: config.branches, stages };
  writeFileSync(specFile, JSON.stringify({ ...spec, net }));
  const raw = new Map([...weights].map(([name, tensor]) => [name, tensorToRaw(tensor, 'f32')]));
  writeFileSync(weightsFile, writeSafetensors(raw, {}));
  const torch = options['no-torch']
    ? 'not asked for'
    : await startTorch(specFile, weightsFile, threads, precision === 'bf16');
  if (typeof torch === 'string') console.log(`PyTorch left out: ${torch}`);
  const own = await ours(config, weights, mergeOption());
  const rows: readonly TrainingRow[] = [own, ...(typeof torch === 'string' ? [] : [rival(torch)])];
  try {
    const losses = await agreedLosses(rows, checkedSteps, tolerance);
    console.log(
      `${config.name}: losses ${losses.map((own) => own.map((l) => l.toFixed(5)).join(' ')).join(' | ')}`,
    );
    for (const row of rows) row.seconds.length = 0;
    for (let round = 0; round < rounds; round++) for (const row of rows) await row.step(steps);
    const timings = rows.map((row) => ({ ...row, timing: timingOf(row.seconds) }));
    for (const { name, timing, megabytes } of timings) {
      const ratio = (timings.at(-1)?.timing.median ?? Number.NaN) / timing.median;
      console.log(
        `${config.name.padEnd(14)} ${name.padEnd(32)} ${(1000 * timing.median).toFixed(0).padStart(6)} ms a step (p10 ${(1000 * timing.p10).toFixed(0)}, p90 ${(1000 * timing.p90).toFixed(0)})  ${(batch / timing.median).toFixed(1).padStart(6)} img/s  ${ratio.toFixed(2)}×  ${megabytes().toFixed(0)} MB`,
      );
    }
    if (options.profile) printProfile(own.profile());
    return timings.map(({ name, timing, megabytes }) => ({
      net: config.name,
      branches: config.branches,
      name,
      ...timing,
      megabytes: megabytes(),
    }));
  } finally {
    for (const row of rows) await row.close();
  }
}

interface TaskTime {
  readonly name: string;
  readonly ops: string;
  readonly flops: number;
  readonly milliseconds: number;
}

const profiledSteps = 11;

/** The median of some steps for each task: first runs fill memory, and neighbours disturb single ones. */
function medianProfile(session: Session, inputs: NamedTensors): readonly TaskTime[] {
  const sums = Array.from({ length: profiledSteps + 1 }, () => {
    session.runSync?.(inputs);
    return session.profile?.() ?? [];
  });
  return (sums[0] ?? []).map(({ name, ops, flops }, task) => {
    const total = sums.map((step) => step[task]?.milliseconds ?? 0);
    const steps = total.slice(1).map((sum, i) => sum - (total[i] ?? 0));
    return { name, ops, flops, milliseconds: timingOf(steps).median };
  });
}

/** Where a step's time goes, by the ops of its tasks; with --tasks, the longest tasks too. */
function printProfile(tasks: readonly TaskTime[]): void {
  const byOps = new Map<string, { milliseconds: number; flops: number; count: number }>();
  let whole = 0;
  for (const { ops, milliseconds, flops } of tasks) {
    const sum = byOps.get(ops) ?? { milliseconds: 0, flops: 0, count: 0 };
    whole += milliseconds;
    byOps.set(ops, {
      milliseconds: sum.milliseconds + milliseconds,
      flops: sum.flops + flops,
      count: sum.count + 1,
    });
  }
  const longestFirst = (a: { milliseconds: number }, b: { milliseconds: number }): number =>
    b.milliseconds - a.milliseconds;
  const line = (milliseconds: number, flops: number, what: string): string =>
    `${milliseconds.toFixed(2).padStart(9)} ms ${((100 * milliseconds) / whole).toFixed(1).padStart(5)} % ${(flops / milliseconds / 1e6).toFixed(1).padStart(7)} GFLOP/s  ${what}`;
  console.log(`${whole.toFixed(2).padStart(9)} ms, medians of ${profiledSteps} steps, task by task`);
  for (const [ops, { milliseconds, flops, count }] of [...byOps].sort((a, b) => longestFirst(a[1], b[1])))
    console.log(line(milliseconds, flops, `${String(count).padStart(4)} × ${ops}`));
  if (options.tasks)
    for (const { name, ops, milliseconds, flops } of [...tasks].sort(longestFirst).slice(0, 80))
      console.log(line(milliseconds, flops, `${ops} ${name}`));
}

const folder = mkdtempSync(join(tmpdir(), 'mobileone-bench-'));
try {
  const machine = describeMachine(undefined);
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.node}, commit ${machine.commit}${machine.dirty ? ' (changed)' : ''}, load ${machine.load}; batch ${batch}, ${size} px, ${threads} threads`,
  );
  const results: object[] = [];
  for (const variant of options.net) results.push(await race(variant as VariantName, folder));
  mkdirSync('bench/results', { recursive: true });
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  writeFileSync(
    `bench/results/training-${stamp}.json`,
    `${JSON.stringify({ machine, options, results }, null, 1)}\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
