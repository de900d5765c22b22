/**
 * `npm run demo`: what MobileOne is about, without data, weights or a network. Builds S0 in train form with random
 * weights and batch-norm statistics, re-parameterizes it, runs both forms on a drawn picture, and shows that they
 * agree and what each costs.
 */
import type { Engine } from '../src/engine/engine.ts';
import { graphCost } from '../src/graph/cost.ts';
import type { CheckedGraph } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { maxDifference, type Tensor } from '../src/tensor/tensor.ts';
import { reparameterize } from '../src/transform/reparameterize.ts';

const size = 224;

/** A red disc on a green-blue gradient, normalised as ImageNet pictures are. */
function drawPicture(): Tensor {
  const data = new Float32Array(size * size * 3);
  const mean = [0.485, 0.456, 0.406];
  const deviation = [0.229, 0.224, 0.225];
  for (let i = 0; i < data.length; i++) {
    const [c, column, row] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    const inDisc = Math.hypot(column - size / 2, row - size / 2) < size / 3;
    const colour = inDisc ? [0.9, 0.2, 0.15] : [0.1, column / size, row / size];
    data[i] = ((colour[c] ?? 0) - (mean[c] ?? 0)) / (deviation[c] ?? 1);
  }
  return { shape: [1, size, size, 3], data };
}

/** The last of a few runs: the first ones pay for what later ones reuse. */
async function timedRun(engine: Engine, net: Net, image: Tensor): Promise<{ logits: Tensor; ms: number }> {
  const session = await engine.compile(net.graph, net.weights);
  for (let i = 0; i < 3; i++) await session.run({ image });
  const start = performance.now();
  const { logits } = await session.run({ image });
  const ms = performance.now() - start;
  session.dispose();
  if (logits === undefined) throw new Error('the net gave no logits');
  return { logits, ms };
}

function describe(form: string, graph: CheckedGraph, ms: number): string {
  const cost = graphCost(graph);
  const columns = [form, `${graph.nodes.length} nodes`, `${cost.parameters.toLocaleString('en')} parameters`];
  return [...columns, `${(cost.macs / 1e6).toFixed(1)} M MACs`, `${ms.toFixed(1)} ms`]
    .map((text) => text.padEnd(21))
    .join('');
}

const graph = buildMobileOne(mobileOneConfig('s0'), { form: 'train', height: size, width: size });
const train: Net = { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 1), 2) };
const deploy = reparameterize(train);
const image = drawPicture();
const engine = await nodeCpuEngine();
const before = await timedRun(engine, train, image);
const after = await timedRun(engine, deploy, image);
const { absolute, relative } = maxDifference(after.logits, before.logits);

console.log('MobileOne-S0, random weights and batch-norm statistics, one 224 × 224 picture\n');
console.log(describe('train form', train.graph, before.ms));
console.log(describe('deploy form', deploy.graph, after.ms));
console.log(
  `\nlargest difference of the ${after.logits.data.length} logits: ${absolute.toExponential(1)} (${relative.toExponential(1)} relative)`,
);
if (!(relative < 1e-5)) {
  console.error('the two forms disagree');
  process.exitCode = 1;
}
console.log(`
Real weights:  npx mobileone predict photo.jpg --model mobileone-s0     (downloads the official weights)
Your own file: npx mobileone predict photo.jpg --weights checkpoint.pth
Known models:  npx mobileone models`);
