import { valueAt } from '../../graph/graph.ts';
import { isBusy, type Timing } from '../../task/timing.ts';
import { formatShape, type Shape } from '../../tensor/tensor.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable, table, wrap } from '../text/layout.ts';
import { byteSize, grouped, percent, scaled, scientific } from '../text/numbers.ts';
import type { Findings, LayerFacts } from './measure.ts';
import type { Subject } from './subject.ts';
import type { Versus } from './versus.ts';

const inputShape = ({ net: { graph } }: Subject): Shape => {
  const [id] = graph.inputs;
  return id === undefined ? [] : valueAt(graph, id).shape;
};

/** What nobody should overlook: times of a net that was not re-parameterized. Undefined where it was. */
export function unfusedWarning({ form, net }: Subject): string | undefined {
  if (form === 'deploy') return undefined;
  return `NOT FUSED: this is the train form, ${grouped(net.graph.nodes.length)} nodes with all branches. Re-parameterized (--form deploy) it is the same net, much faster.`;
}

const timingJson = ({ runs, median, p10, p90, min }: Timing) => ({
  runs,
  medianMs: median,
  p10Ms: p10,
  p90Ms: p90,
  minMs: min,
});

/** The keys are stable; what is added later comes after them. What an engine does not tell is null. */
export function toJson(found: Findings) {
  const { subject, bench, peak, profile, versus } = found;
  const { info } = bench;
  return {
    model: subject.title,
    form: subject.form,
    fused: subject.form === 'deploy',
    weights: subject.weights,
    input: inputShape(subject),
    machine: { ...found.machine, node: process.version },
    engine: {
      name: found.engine,
      target: info?.target ?? null,
      threads: found.threads,
      precision: found.precision,
    },
    compileMs: bench.compileMs,
    warmUp: bench.warmUp,
    latency: timingJson(bench.latency),
    imagesPerSecond: bench.imagesPerSecond,
    macs: bench.macs,
    gflops: bench.gflops,
    peakGflops: peak ?? null,
    shareOfPeak: peak === undefined ? null : bench.gflops / peak,
    memory: {
      peakRssBytes: found.peakRssBytes,
      sessionBytes: info?.memoryBytes ?? null,
      activationBytes: info?.activationBytes ?? null,
      weightBytes: found.weightBytes,
    },
    codeBytes: info?.codeBytes ?? null,
    busy: isBusy(bench.latency),
    ...(profile ? { profile } : {}),
    ...(versus ? { versus: versusJson(versus) } : {}),
  };
}

function versusJson({ rival, version, threads, difference, a, b, turns, ...ratios }: Versus) {
  return {
    rival,
    version,
    threads,
    difference,
    turns,
    ours: timingJson(a),
    theirs: timingJson(b),
    ratio: ratios.ratio,
    ratioP10: ratios.ratioP10,
    ratioP90: ratios.ratioP90,
    noise: ratios.noise,
  };
}

/** 0.87345 → `0.873 ms` */
const ms = (value: number): string => `${value.toPrecision(value < 100 ? 3 : 4)} ms`;
const spread = ({ median, p10, p90, min }: Timing): string =>
  `median ${ms(median)}, p10 ${ms(p10)}, p90 ${ms(p90)}, min ${ms(min)}`;
const count = (value: number, what: string): string => `${grouped(value)} ${what}${value === 1 ? '' : 's'}`;
const rate = (value: number): string => value.toPrecision(value < 100 ? 3 : 4);

export function toText(found: Findings, { width, bold }: Terminal): readonly string[] {
  const { subject, profile, versus } = found;
  const warning = unfusedWarning(subject);
  const [batch, height, side] = inputShape(subject);
  const title = `${subject.title}, ${subject.form} form, batch ${batch}, ${height}×${side}`;
  const list = facts([...machineLines(found), ...resultLines(found)], width - 2);
  return [
    ...wrap(printable(title), width, 2).map(bold),
    ...(warning ? wrap(warning, width, 2).map(bold) : []),
    ...list.map((line) => `  ${line}`),
    ...(profile ? ['', ...profileTable(profile, width)] : []),
    ...(versus ? ['', ...versusLines(versus, width, bold)] : []),
  ];
}

function machineLines({ subject, machine, engine, bench, threads, precision }: Findings): readonly Fact[] {
  const { weights } = subject;
  const target = bench.info ? `, ${bench.info.target}` : '';
  return [
    [
      'weights',
      weights.kind === 'file'
        ? printable(weights.file)
        : `random, seed ${weights.seed}; nothing was downloaded. A file measures its own`,
    ],
    ['processor', `${machine.cpu}, ${count(machine.usableCores, 'core')} usable`],
    ['Node', `${process.version}, ${machine.system}`],
    ['engine', `${engine}${target}, ${count(threads, 'thread')}, ${precision}`],
  ];
}

function resultLines({ bench, peak, peakRssBytes, weightBytes }: Findings): readonly Fact[] {
  const { info, latency, warmUp } = bench;
  const share =
    peak === undefined ? '' : `, ${percent(bench.gflops / peak)} of the measured peak of ${rate(peak)}`;
  const session = info
    ? `; the session holds ${byteSize(info.memoryBytes)}, ${byteSize(info.activationBytes)} of them activations`
    : '';
  return [
    ['compile', ms(bench.compileMs)],
    ['latency', spread(latency)],
    ['', `${count(latency.runs, 'run')} after ${count(warmUp.runs, 'run')} to warm up`],
    ...(isBusy(latency) ? [['', 'the machine was busy with something else'] as const] : []),
    ['throughput', `${rate(bench.imagesPerSecond)} images/s`],
    ['arithmetic', `${scaled(bench.macs)} MACs, ${rate(bench.gflops)} GFLOP/s${share}`],
    [
      'memory',
      `process at most ${byteSize(peakRssBytes)}${session}; weights ${byteSize(weightBytes)} in f32`,
    ],
    ...(info ? [['code', `${byteSize(info.codeBytes)} emitted`] as const] : []),
  ];
}

function profileTable(layers: readonly LayerFacts[], width: number): readonly string[] {
  const columns = [
    { heading: 'layer' },
    { heading: 'ops', least: 12 },
    { heading: 'output' },
    { heading: 'ms', align: 'right' },
    { heading: '%', align: 'right' },
    { heading: 'GFLOP/s', align: 'right' },
  ] as const;
  const rows = layers.map((layer) => [
    printable(layer.name),
    layer.ops,
    formatShape(layer.shape),
    layer.ms.toFixed(3),
    (100 * layer.share).toFixed(1),
    layer.gflops.toFixed(1),
  ]);
  const total = layers.reduce((sum, layer) => sum + layer.ms, 0);
  return [
    ...table(columns, rows, width),
    ...wrap(`${count(layers.length, 'layer')} one by one: ${ms(total)} a run`, width, 2),
  ];
}

function versusLines(versus: Versus, width: number, bold: Terminal['bold']): readonly string[] {
  const { rival, version, threads, difference, a, b, turns, ratio, ratioP10, ratioP90, noise } = versus;
  const interval = `${ratioP10.toFixed(2)}–${ratioP90.toFixed(2)} turn by turn`;
  const verdict = noise ? `noise: ${interval} spans 1, neither is faster` : interval;
  const list = facts(
    [
      [
        'answers',
        `differ by at most ${scientific(difference.absolute)}, relative ${scientific(difference.relative)}`,
      ],
      ['mobileone', spread(a)],
      [rival, spread(b)],
      ['ratio', `${ratio.toFixed(2)}× the time (${verdict})`],
    ],
    width - 2,
  );
  const title = `against ${rival} ${version}, ${count(threads, 'thread')}, ${turns} turns each`;
  return [...wrap(printable(title), width, 2).map(bold), ...list.map((line) => `  ${line}`)];
}
