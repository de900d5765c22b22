/**
 * `npm run demo:detect` and `npm run demo:segment`: the demonstration's drawn shapes with boxes, or with a class for each
 * pixel, learned from scratch within minutes. Leaves a run folder with a report; `--quick` takes seconds and learns
 * little, `--epochs N` and `--out FOLDER` as for the demonstration.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { processTerminal } from '../src/cli/terminal.ts';
import { facts } from '../src/cli/text/layout.ts';
import { percent } from '../src/cli/text/numbers.ts';
import { listenForInterrupt } from '../src/cli/train/interrupt.ts';
import { trainingProgress } from '../src/cli/train/progress.ts';
import type { AnnotatedSplits } from '../src/data/annotations/annotated.ts';
import { openAnnotated } from '../src/data/annotations/open-annotated.ts';
import { memoryFiles } from '../src/data/files.ts';
import { annotatedFiles } from '../src/data/procedural/annotated-files.ts';
import { UsageError } from '../src/errors.ts';
import type { ImageDecoder } from '../src/image/codec.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { createNodePool } from '../src/platform/node/loader-workers.ts';
import { openRunFolder } from '../src/platform/node/run-folder.ts';
import { writeReport } from '../src/report/write-report.ts';
import { type JointData, jointData } from '../src/training/batches/joint-data.ts';
import { boxShares, prepareDetectRun, prepareSegmentRun } from '../src/training/recipe/prepare-head-run.ts';
import { learn } from '../src/training/run/learn.ts';
import { runFiles } from '../src/training/run/run-files.ts';
import { runReport } from '../src/training/run/run-report.ts';
import { detectTask } from '../src/training/task/detect-task.ts';
import { segmentTask } from '../src/training/task/segment-task.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, epochs: { type: 'string' }, out: { type: 'string' } },
});
const [task] = positionals;
if (task !== 'detect' && task !== 'segment') throw new UsageError('demo-heads: expected detect or segment.');

const usual = {
  detect: { train: 4000, val: 400, size: 64, epochs: 12 },
  segment: { train: 3000, val: 200, size: 96, epochs: 10 },
} as const;
const quick = { train: 32, val: 8, size: 64, epochs: 1 } as const;
const { train, val, size, ...rest } = flags.quick ? quick : usual[task];
const epochs = Number(flags.epochs ?? rest.epochs);
const widths = flags.quick ? [0.125, 0.125, 0.125, 0.125] : [0.5, 0.5, 0.5, 0.5];
const plan = {
  name: `shapes-${task}`,
  data: { name: 'procedural shapes', train, validation: val, holdOut: null },
  epochs,
  batch: 16,
  size,
} as const;

function prepared(splits: AnnotatedSplits, data: JointData, decoder: ImageDecoder) {
  const labels = splits.classes;
  if (task === 'detect') {
    const { config, weights } = prepareDetectRun({
      ...plan,
      labels,
      model: { widths, pairs: [1, 1, 1, 1], branches: 4 },
      boxes: boxShares(splits.train),
      set: ['augment.crop=null', 'augment.color=null'],
    });
    return { learning: detectTask(config, { data, decoder }), weights, score: 'mAP50' };
  }
  const { config, weights } = prepareSegmentRun({
    ...plan,
    labels,
    model: { widths, pairs: [1, 2, 2, 1], branches: 4 },
    head: { outputStride: 8, channels: 64 },
    set: ['augment.color=null', 'augment.scale=[0.9,1.2]'],
  });
  return { learning: segmentTask(config, { data, decoder }), weights, score: 'mIoU' };
}

const terminal = processTerminal();
const started = performance.now();
const drawn = annotatedFiles({
  ...{ train, val, seed: 1, width: size, height: size, radius: [0.3, 0.44], occluders: 1, noise: 0.02 },
  annotations: task === 'detect' ? 'boxes' : 'masks',
});
// Drawn once: files that are drawn when they are read would be drawn in each epoch.
const contents = new Map<string, Uint8Array>();
for (const path of (await drawn.list()).files) contents.set(path, await drawn.read(path));
const decoder = await createNodeDecoder();
const splits = await openAnnotated(memoryFiles('shapes', contents), decoder, { task });
const pool = await createNodePool();
const interrupt = listenForInterrupt(() => terminal.note('', 'Stopping after this step.'));
const { learning, weights, score } = prepared(
  splits,
  jointData(splits, pool, { cacheBytes: 2 ** 28 }),
  decoder,
);
const progress = trainingProgress(learning.config.recipe, terminal, terminal.print);
terminal.print(
  terminal.bold(`A small MobileOne learns to ${task} shapes: ${splits.classes.join(', ')}`),
  `${train} pictures of ${size} × ${size} to learn from, ${val} to judge by; ${epochs} epochs`,
  '',
);
try {
  const engine = await nodeCpuEngine();
  const store = await openRunFolder(flags.out ?? `runs/demo-${task}`);
  const result = await learn(learning, {
    ...{ engine, weights, store, signal: interrupt.signal },
    onStep: progress.step,
    onEpoch: progress.epoch,
  });
  progress.end();
  await writeReport(store, await runReport(learning, { engine, ...result }));
  const best = Object.entries(result.progress.history[result.progress.bestEpoch - 1] ?? {});
  const reached = Number(best.find(([name]) => name === score)?.[1]);
  terminal.print(
    '',
    ...facts(
      [
        [score, `${percent(reached)} in epoch ${result.progress.bestEpoch}`],
        ['report', join(store.name, 'report.html')],
        [
          'try it',
          `npx mobileone predict photo.png --model ${join(store.name, runFiles.model)} --out drawn.png`,
        ],
      ],
      terminal.width,
    ),
    terminal.dim(`All of this took ${((performance.now() - started) / 1000).toFixed(0)} s.`),
  );
  if (result.ended === 'stopped') process.exitCode = 130;
} finally {
  progress.end();
  interrupt.release();
  await pool.close();
}
