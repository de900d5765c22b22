/**
 * Does it learn what PyTorch learns, and what are branches worth? Runs of one recipe on a folder of class folders, for
 * some seeds: MobileOne with its branches, PyTorch with the same first weights and the same batches, and the plain net
 * (one convolution and batch norm where MobileOne has a block). Prints top-1 and loss of the validation pictures.
 *
 *     npm run build && node dist/bench/learning-curves.js DATA [--epochs 15] [--size 64] [--branches 4]
 *         [--seeds 1,2,3]
 *         [--rows mobileone,torch,plain] [--threads 2] [--set key=value …]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../src/format/safetensors/safetensors-write.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import type { CheckedGraph } from '../src/graph/graph.ts';
import { linearLayer } from '../src/graph/layers.ts';
import { evalTransforms } from '../src/image/eval-transform.ts';
import { type MobileOneConfig, mobileOneConfig } from '../src/model/config.ts';
import { convNorm } from '../src/model/conv-norm.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { openDataPath } from '../src/platform/node/folder-files.ts';
import { createNodePool } from '../src/platform/node/loader-workers.ts';
import { tensorToRaw } from '../src/tensor/raw.ts';
import type { Tensor, Weights } from '../src/tensor/tensor.ts';
import { classData } from '../src/training/batches/class-data.ts';
import { type Recipe, withEpochs, withOverrides, withSize } from '../src/training/recipe/recipe.ts';
import { namedRecipe } from '../src/training/recipe/recipes.ts';
import { type ClassifyConfig, stepsPerEpoch } from '../src/training/recipe/run-config.ts';
import { learn } from '../src/training/run/learn.ts';
import { memoryRunStore } from '../src/training/run/run-store.ts';
import { targetsInput } from '../src/training/step/classify-step.ts';
import { ratesAt } from '../src/training/step/learning-step.ts';
import { classifyTask } from '../src/training/task/classify-task.ts';
import type { LearningTask, StepShape } from '../src/training/task/learning-task.ts';
import { describeMachine } from './machine.ts';
import { startRival } from './training/rival-process.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '15' },
    size: { type: 'string', default: '64' },
    branches: { type: 'string', default: '4' },
    seeds: { type: 'string', default: '1,2,3' },
    rows: { type: 'string', default: 'mobileone,torch,plain' },
    threads: { type: 'string', default: '2' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const [dataPath] = positionals;
if (dataPath === undefined) throw new Error('expected a folder of class folders');
const seeds = options.seeds.split(',').map(Number);
const wanted = options.rows.split(',');
const threads = Number(options.threads);
const size = Number(options.size);
const python = process.env.PYTHON ?? '/usr/bin/python3';
const script = fileURLToPath(new URL('../../bench/training/curves.py', import.meta.url));

interface Curve {
  readonly row: string;
  readonly seed: number;
  readonly top1: readonly number[];
  readonly loss: readonly number[];
  readonly trainLoss: readonly number[];
  readonly seconds: number;
}

/** MobileOne without what it adds while training: each block one convolution and its norm. */
function plainNet(config: MobileOneConfig, { batch, size: side }: StepShape): CheckedGraph {
  const b = graphBuilder('plain net');
  let x = b.input(inputName, [batch, side, side, 3]);
  const block = (name: string, outChannels: number, kernel: number, stride: number, groups: number): void => {
    const geometry = convGeometry({ kernel, stride, groups });
    x = convNorm(b, name, x, { outChannels, geometry, form: 'train', activation: 'relu', eps: 1e-5 });
  };
  block('stem', config.stemChannels, 3, 2, 1);
  let channels = config.stemChannels;
  config.stages.forEach(({ pairs, channels: out }, s) => {
    for (let pair = 0; pair < pairs; pair++) {
      block(`stages.${s}.${2 * pair}`, channels, 3, pair === 0 ? 2 : 1, channels);
      block(`stages.${s}.${2 * pair + 1}`, out, 1, 1, 1);
      channels = out;
    }
  });
  const pooled = b.node('globalAveragePool', 'pool', {}, [x]);
  const flat = b.node('flatten', 'flat', {}, [pooled]);
  b.output('logits', linearLayer(b, 'head', flat, config.classes));
  return b.finish();
}

const data = await openDataPath(dataPath, { seed: 0 });
const pool = await createNodePool({ workers: 1 });
const engine = await nodeCpuEngine();
const compile = { threads };

function configOf(seed: number): ClassifyConfig {
  const small = withSize(withEpochs(namedRecipe('small', 's0'), Number(options.epochs)), size);
  const recipe: Recipe = withOverrides({ ...small, phases: [{ epoch: 0, size, strength: 1 }], seed }, [
    ...options.set,
  ]);
  return {
    version: 1,
    name: 'learning curves',
    model: mobileOneConfig('s0', { classes: data.classes.length, branches: Number(options.branches) }),
    form: 'train',
    labels: data.classes,
    transform: evalTransforms.apple,
    recipe,
    data: {
      name: dataPath ?? '',
      train: data.train.samples.length,
      validation: data.val?.samples.length ?? 0,
      holdOut: null,
    },
    from: null,
  };
}

function sourceOf({ recipe, transform }: ClassifyConfig) {
  return classData(data, pool, {
    augment: recipe.augment,
    normalization: transform,
    seed: recipe.seed,
    cacheBytes: 2 ** 30,
  });
}

interface Judged {
  readonly images: Tensor;
  readonly labels: readonly number[];
}

/** All validation pictures as one batch. */
async function validationBatch(config: ClassifyConfig): Promise<Judged> {
  const source = sourceOf(config);
  const { resize } = config.recipe.evaluation;
  for await (const { images, indices } of source.validationBatches({
    batch: source.validationCount,
    size,
    resize,
  }))
    return {
      images: { shape: [indices.length, size, size, 3], data: images },
      labels: Array.from(indices, (index) => source.labelOf(index)),
    };
  throw new Error('no validation pictures');
}

async function judge(graph: CheckedGraph, weights: Weights, { images, labels }: Judged) {
  const session = await engine.compile(graph, weights, compile);
  const { logits } = await session.run({ [inputName]: images });
  session.dispose();
  const classes = data.classes.length;
  let [right, loss] = [0, 0];
  labels.forEach((label, i) => {
    const row = [...(logits?.data.subarray(i * classes, (i + 1) * classes) ?? [])];
    const most = Math.max(...row);
    if (row[label] === most) right++;
    loss += Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most - (row[label] ?? 0);
  });
  return { top1: right / labels.length, loss: loss / labels.length };
}

type NetOf = (shape: StepShape) => CheckedGraph;

const netOf = ({ model }: ClassifyConfig, row: string): NetOf =>
  row === 'plain'
    ? (shape) => plainNet(model, shape)
    : ({ batch, size: side }) => buildMobileOne(model, { form: 'train', batch, height: side, width: side });

const firstWeights = (net: NetOf, seed: number): Weights =>
  initialWeights(net({ batch: 1, size }), 'timm', seed);

/** A run of ours. @param keep the folder where each epoch's batches are left for PyTorch */
async function ours(row: string, seed: number, judged: Judged, keep: string | undefined): Promise<Curve> {
  const config = configOf(seed);
  const net = netOf(config, row);
  const task = classifyTask(config, { data: sourceOf(config) });
  const batches: LearningTask['trainBatches'] = async function* (request) {
    const file = keep === undefined ? undefined : await open(join(keep, `${request.epoch}.bin`), 'w');
    for await (const batch of task.trainBatches(request)) {
      for (const name of [inputName, targetsInput]) {
        const values = batch.inputs[name]?.data;
        if (values) await file?.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
      yield batch;
    }
    await file?.close();
  };
  const { progress } = await learn(
    {
      ...task,
      net,
      trainBatches: batches,
      evaluate: async (weights) => ({
        ...(await judge(net({ batch: judged.labels.length, size }), weights, judged)),
        top5: null,
      }),
      deployFile: () => new Uint8Array(),
    },
    { engine, compile, weights: firstWeights(net, seed), store: memoryRunStore() },
  );
  const column = (name: string): number[] =>
    progress.history.map((one) => Number(Object.entries(one).find(([key]) => key === name)?.[1]));
  return {
    row,
    seed,
    top1: column('top1'),
    loss: column('loss'),
    trainLoss: column('trainLoss'),
    seconds: column('seconds').reduce((sum, one) => sum + one, 0),
  };
}

/** The same run in PyTorch, on the batches that ours left. */
async function torch(seed: number, { images, labels }: Judged, folder: string): Promise<Curve> {
  const config = configOf(seed);
  const { recipe, model } = config;
  const steps = stepsPerEpoch(config);
  const put = (name: string, content: string | Uint8Array): void =>
    writeFileSync(join(folder, name), content);
  const raw = new Map(
    [...firstWeights(netOf(config, 'mobileone'), seed)].map(([name, tensor]) => [
      name,
      tensorToRaw(tensor, 'f32'),
    ]),
  );
  put('weights.safetensors', writeSafetensors(raw, {}));
  put('validation.bin', new Uint8Array(Float32Array.from(images.data).buffer));
  const stages = model.stages.map(({ pairs, channels }) => ({ pairs, channels }));
  put(
    'spec.json',
    JSON.stringify({
      net: { stem: model.stemChannels, branches: model.branches, stages },
      ...{ classes: model.classes, batch: recipe.batch, size, steps, labels },
      optimizer: recipe.optimizer,
      smoothing: recipe.loss.smoothing,
      rates: Array.from({ length: steps * recipe.epochs }, (_, step) =>
        ratesAt(recipe, { step, stepsPerEpoch: steps, epochs: recipe.epochs }),
      ),
    }),
  );
  const rival = await startRival(python, [script, folder, String(threads)]);
  if (typeof rival === 'string') throw new Error(rival);
  const curve = { top1: [] as number[], loss: [] as number[], trainLoss: [] as number[] };
  let seconds = 0;
  for (let epoch = 0; epoch < recipe.epochs; epoch++) {
    // A turn is an epoch here: mean training loss, validation loss and top-1.
    const turn = await rival.steps(epoch);
    const [trainLoss = Number.NaN, loss = Number.NaN, top1 = Number.NaN] = turn.losses;
    curve.trainLoss.push(trainLoss);
    curve.loss.push(loss);
    curve.top1.push(top1);
    seconds += turn.seconds[0] ?? 0;
  }
  await rival.close();
  return { row: `PyTorch ${rival.version}`, seed, ...curve, seconds };
}

const percent = (share: number): string => (100 * share).toFixed(1);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number =>
  Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / Math.max(1, values.length - 1),
  );

function show({ row, seed, top1, loss, trainLoss, seconds }: Curve): void {
  console.log(
    `${row.padEnd(18)} seed ${seed}  top-1 % ${top1.map(percent).join(' ')}\n${' '.repeat(27)}loss ${loss.map((one) => one.toFixed(3)).join(' ')}\n${' '.repeat(21)}train loss ${trainLoss.map((one) => one.toFixed(3)).join(' ')}  ${seconds.toFixed(0)} s of steps`,
  );
}

/** Over seeds, of the mean of a run's last three epochs: one epoch of few pictures says little. */
function summary(curves: readonly Curve[]): void {
  const last = (values: readonly number[]): number => mean(values.slice(-3));
  for (const row of new Set(curves.map((curve) => curve.row))) {
    const own = curves.filter((curve) => curve.row === row);
    const [top1, loss] = [own.map((curve) => last(curve.top1)), own.map((curve) => last(curve.loss))];
    console.log(
      `${row.padEnd(18)} ${own.length} seeds, last three epochs: top-1 ${percent(mean(top1))} ± ${percent(deviation(top1))} %, loss ${mean(loss).toFixed(3)} ± ${deviation(loss).toFixed(3)}`,
    );
  }
}

const machine = describeMachine(undefined);
console.log(
  `${machine.cpu}, ${machine.cores} cores, commit ${machine.commit}${machine.dirty ? ' (changed)' : ''}; ${dataPath}: ${data.train.samples.length} + ${data.val?.samples.length ?? 0} pictures, ${size} px, ${options.epochs} epochs`,
);
const curves: Curve[] = [];
for (const seed of seeds) {
  const folder = mkdtempSync(join(tmpdir(), 'mobileone-curves-'));
  try {
    const judged = await validationBatch(configOf(seed));
    const add = (curve: Curve): void => {
      curves.push(curve);
      show(curve);
    };
    if (wanted.includes('mobileone') || wanted.includes('torch'))
      add(await ours('mobileone', seed, judged, wanted.includes('torch') ? folder : undefined));
    if (wanted.includes('torch')) add(await torch(seed, judged, folder));
    if (wanted.includes('plain')) add(await ours('plain', seed, judged, undefined));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
summary(curves);
mkdirSync('bench/results', { recursive: true });
const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '');
writeFileSync(
  `bench/results/curves-${stamp}.json`,
  `${JSON.stringify({ machine, options, recipe: configOf(0).recipe, curves }, null, 1)}\n`,
);
await pool.close();
process.exit(0);
