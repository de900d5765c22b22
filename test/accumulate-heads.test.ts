/**
 * Steps of tasks with heads in parts that have unlike much to learn from: pixels of a class, anchors with an object.
 * Without norms, which measure each part, the step is the whole one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildHeadNet } from '../src/task/head-net.ts';
import { maxDifference, type Weights, zeros } from '../src/tensor/tensor.ts';
import type { DetectConfig, SegmentConfig } from '../src/training/recipe/run-config.ts';
import { learn } from '../src/training/run/learn.ts';
import { memoryRunStore } from '../src/training/run/run-store.ts';
import { readRun } from '../src/training/run/train.ts';
import { isPassing } from '../src/training/step/update-step.ts';
import { detectTask } from '../src/training/task/detect-task.ts';
import type { LearningTask } from '../src/training/task/learning-task.ts';
import { segmentTask } from '../src/training/task/segment-task.ts';
import { tinyDetect } from './support/tiny-detect.ts';
import { tinySegment } from './support/tiny-segment.ts';

const accumulate = 4;
const set = [
  'optimizer={"kind":"sgd","momentum":0.9,"nesterov":false}',
  ...['rate.base=0.01', 'rate.warmUp={"unit":"epochs","length":0,"start":1}'],
  ...['clip=null', 'average=null', 'augment.color=null', 'initial=apple'],
];
const common = { train: 8, val: 4, epochs: 1, batch: accumulate, set } as const;

/** Deploy form learns as it is, without norms. */
function bare<C extends DetectConfig | SegmentConfig>(config: C, parts: number): C {
  return { ...config, form: 'deploy', recipe: { ...config.recipe, accumulate: parts } };
}

function startOf({ head, model, labels, recipe, form }: DetectConfig | SegmentConfig): Weights {
  const { graph } = buildHeadNet(head, model, labels.length, { form, ...recipe.evaluation, auxiliary: true });
  return initialWeights(graph, recipe.initial, 1);
}

async function countsOf(task: LearningTask, size: number): Promise<number[]> {
  const counts: number[] = [];
  for await (const { counted, release } of task.trainBatches({
    epoch: 0,
    from: 0,
    batch: 1,
    size,
    strength: 1,
  })) {
    counts.push(counted?.() ?? Number.NaN);
    release?.();
  }
  return counts;
}

async function learned(task: LearningTask, weights: Weights): Promise<[Weights, number]> {
  const store = memoryRunStore();
  await learn(task, { engine: referenceEngine, store, weights });
  const run = (await readRun(store)) ?? assert.fail('the run left nothing');
  const state = new Map([...run.state].filter(([name]) => !isPassing(name)));
  return [state, run.progress.history[0]?.trainLoss ?? Number.NaN];
}

async function compare(whole: LearningTask, parts: LearningTask, weights: Weights): Promise<void> {
  const [expected, loss] = await learned(whole, weights);
  const [found, partsLoss] = await learned(parts, weights);
  assert.ok(Math.abs(partsLoss - loss) <= 1e-5 * loss, `loss ${partsLoss}, expected ${loss}`);
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [name, tensor] of expected) {
    const change = maxDifference(tensor, weights.get(name) ?? zeros(tensor.shape)).absolute;
    const { absolute } = maxDifference(found.get(name) ?? zeros([0]), tensor);
    assert.ok(absolute <= 1e-3 * change + 1e-7, `${name}: ${absolute}, changed by ${change}`);
  }
}

test('detection: parts with few and with many objects are the whole step', async () => {
  const made = await tinyDetect({
    ...{ ...common, size: 32, widths: [0.125, 0.0625, 0.03125, 0.015625], objects: [1, 5] },
    set: [...set, 'augment.crop={"leastIou":[0],"scale":[0.3,0.6],"ratio":[0.5,2],"tries":40}'],
  });
  const tasks = [1, accumulate].map((parts) => detectTask(bare(made.config, parts), made));
  const [whole, parts] = tasks;
  assert.ok(whole && parts);
  const counts = await countsOf(whole, 32);
  assert.ok(Math.max(...counts) > 1.5 * Math.min(...counts), `anchors with an object: ${counts}`);
  await compare(whole, parts, startOf(bare(made.config, 1)));
});

test('segmentation: pixels that are ignored make parts of unlike size', async () => {
  const made = await tinySegment({
    ...{ ...common, size: 32, widths: [0.125, 0.0625, 0.03125, 0.015625], channels: 8 },
    // Smaller than the net's input: what is around the picture is ignored.
    set: [...set, 'augment.scale=[0.4,1]'],
  });
  const tasks = [1, accumulate].map((parts) => segmentTask(bare(made.config, parts), made));
  const [whole, parts] = tasks;
  assert.ok(whole && parts);
  const counts = await countsOf(whole, 32);
  assert.ok(Math.max(...counts) > 1.5 * Math.min(...counts), `pixels of a class: ${counts}`);
  await compare(whole, parts, startOf(bare(made.config, 1)));
});
