/**
 * Training steps in WebAssembly against jax-js: one small net of depthwise and pointwise convolutions with batch norms,
 * 32 pictures of 32 × 32 px, plain SGD. Same first weights, same batch, in turns; losses are compared first.
 *
 *     npm run bench:rivals:install && npm run build && node dist/bench/small-net.js [--rounds 8] [--steps 3]
 *
 * jax-js has one thread in Node, and needs Node 22; ours is timed with one and two. Its pointwise convolutions are given both ways it has.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import type { CheckedGraph } from '../src/graph/graph.ts';
import { linearLayer } from '../src/graph/layers.ts';
import { convNorm } from '../src/model/conv-norm.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createRandom } from '../src/tensor/random.ts';
import type { Tensor, Weights } from '../src/tensor/tensor.ts';
import { type StepRules, targetsInput, trainingStep } from '../src/training/step/classify-step.ts';
import { rateInput } from '../src/training/step/update-step.ts';
import { newerNodes, noNewerNode } from '../test/support/node-binaries.ts';
import { missingRival, rivalPath } from './adapters/adapter.ts';
import { describeMachine } from './machine.ts';
import { timingOf } from './statistics.ts';
import { startRival } from './training/rival-process.ts';
import { agreedLosses, rivalRow, sessionRow, type TrainingRow } from './training/rows.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '8' },
    steps: { type: 'string', default: '3' },
    target: { type: 'string', multiple: true },
  },
});
const rounds = Number(options.rounds);
const steps = Number(options.steps);
const batch = 32;
const size = 32;
const classes = 10;
const rate = 0.05;
/** Losses of the first steps may differ so much, relative: other orders of summation. */
const tolerance = 1e-3;
const checkedSteps = 3;

/** Channels out and stride of each pair of a depthwise and a pointwise convolution, after a stem of 32. */
const pairs = [
  [64, 1],
  [64, 2],
  [128, 1],
  [128, 2],
] as const;

interface Layer {
  readonly name: string;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups: number;
}

function layersOf(): readonly Layer[] {
  const layers: Layer[] = [{ name: 'stem', out: 32, kernel: 3, stride: 2, groups: 1 }];
  let channels = 32;
  pairs.forEach(([out, stride], i) => {
    layers.push({ name: `pairs.${i}.depthwise`, out: channels, kernel: 3, stride, groups: channels });
    layers.push({ name: `pairs.${i}.pointwise`, out, kernel: 1, stride: 1, groups: 1 });
    channels = out;
  });
  return layers;
}

function buildNet(layers: readonly Layer[]): CheckedGraph {
  const b = graphBuilder('small net');
  let x = b.input('image', [batch, size, size, 3]);
  for (const { name, out, kernel, stride, groups } of layers) {
    const geometry = convGeometry({ kernel, stride, groups });
    x = convNorm(b, name, x, { outChannels: out, geometry, form: 'train', activation: 'relu', eps: 1e-5 });
  }
  const pooled = b.node('globalAveragePool', 'pool', {}, [x]);
  const flat = b.node('flatten', 'flat', {}, [pooled]);
  b.output('logits', linearLayer(b, 'head', flat, classes));
  return b.finish();
}

const newerNode = newerNodes().at(-1);
const random = createRandom(3);
const images: Tensor = {
  shape: [batch, size, size, 3],
  data: Float32Array.from({ length: batch * size * size * 3 }, () => random.normal()),
};
const targets: Tensor = {
  shape: [batch, classes],
  data: Float32Array.from({ length: batch * classes }, (_, i) =>
    i % classes === Math.floor(i / classes) % classes ? 1 : 0,
  ),
};

async function ours(
  graph: CheckedGraph,
  weights: Weights,
  target: string,
  threads: number,
): Promise<TrainingRow> {
  const rules: StepRules = {
    optimizer: { kind: 'sgd', momentum: 0, nesterov: false },
    decayed: { norms: false, biases: false },
    clip: null,
    average: null,
    layerDecay: 1,
    freeze: 'none',
    loss: { kind: 'crossEntropy', smoothing: 0 },
    distill: null,
    mergeBranches: 'none',
  };
  const step = trainingStep({ graph, weights }, rules);
  const engine = await nodeCpuEngine();
  const session = await engine.compile(step.graph, step.weights, { threads, target });
  const inputs = {
    image: images,
    [targetsInput]: targets,
    [rateInput]: { shape: [2], data: Float32Array.of(rate, 0) },
  };
  return sessionRow(`mobileone ${target}, ${threads} thread${threads > 1 ? 's' : ''}`, session, inputs);
}

async function rivals(
  layers: readonly Layer[],
  weights: Weights,
  folder: string,
): Promise<readonly TrainingRow[]> {
  const missing = missingRival('@jax-js/jax');
  if (missing !== undefined) {
    console.log(`jax-js left out: ${missing}`);
    return [];
  }
  if (newerNode === undefined) {
    console.log(`jax-js left out: ${noNewerNode}`);
    return [];
  }
  const plain = ({ shape, data }: Tensor): object => ({ shape, data: [...data] });
  const spec = join(folder, 'small-net.json');
  const named = Object.fromEntries([...weights].map(([name, tensor]) => [name, plain(tensor)]));
  writeFileSync(
    spec,
    JSON.stringify({ rate, layers, weights: named, images: plain(images), targets: plain(targets) }),
  );
  const script = fileURLToPath(new URL('../../bench/training/jax-rival.mjs', import.meta.url));
  const jax = pathToFileURL(rivalPath('@jax-js/jax/dist/index.js')).href;
  const rows: TrainingRow[] = [];
  for (const pointwise of ['matmul', 'convolution']) {
    const rival = await startRival(newerNode.path, [script, jax, spec, pointwise]);
    if (typeof rival === 'string') console.log(`jax-js, ${pointwise}, left out: ${rival}`);
    else rows.push(rivalRow(`jax-js ${rival.version}`, rival));
  }
  return rows;
}

const folder = mkdtempSync(join(tmpdir(), 'mobileone-bench-'));
try {
  const machine = describeMachine(newerNode?.version);
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.node}, commit ${machine.commit}${machine.dirty ? ' (changed)' : ''}, load ${machine.load}; batch ${batch}, ${size} px`,
  );
  const layers = layersOf();
  const graph = buildNet(layers);
  const weights = initialWeights(graph, 'timm', 1);
  const rows: TrainingRow[] = [];
  for (const target of options.target ?? ['wasm'])
    for (const threads of [1, 2]) rows.push(await ours(graph, weights, target, threads));
  rows.push(...(await rivals(layers, weights, folder)));
  const losses = await agreedLosses(rows, checkedSteps, tolerance);
  console.log(`losses ${losses.map((own) => own.map((loss) => loss.toFixed(5)).join(' ')).join(' | ')}`);
  for (const row of rows) row.seconds.length = 0;
  for (let round = 0; round < rounds; round++) for (const row of rows) await row.step(steps);
  const timings = rows.map(({ name, seconds }) => ({
    name,
    ...timingOf(seconds.map((each) => each * 1000)),
  }));
  const best = Math.min(...timings.filter(({ name }) => name.startsWith('jax')).map(({ median }) => median));
  for (const { name, median, p10, p90 } of timings) {
    const ratio = Number.isFinite(best) ? `  ${(best / median).toFixed(1)}× jax-js` : '';
    console.log(
      `${name.padEnd(32)} ${median.toFixed(1).padStart(7)} ms a step (p10 ${p10.toFixed(1)}, p90 ${p90.toFixed(1)})${ratio}`,
    );
  }
  for (const row of rows) await row.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
