/**
 * `npm run demo`: everything once, without data, weights or a network. Draws a set of pictures, trains a small
 * MobileOne on it with many branches, folds the branches into one convolution each, shows that both forms give the same
 * answers and what each costs, and looks at a picture that the net has never seen. `--quick` takes seconds and learns
 * little; `--out FOLDER` says where the run goes.
 */
import { join } from 'node:path';
import { processTerminal, type Terminal } from '../src/cli/terminal.ts';
import { halfBlocks } from '../src/cli/text/half-blocks.ts';
import { facts, table } from '../src/cli/text/layout.ts';
import { grouped, percent, scientific } from '../src/cli/text/numbers.ts';
import { listenForInterrupt } from '../src/cli/train/interrupt.ts';
import { trainingProgress } from '../src/cli/train/progress.ts';
import { openImageFolder } from '../src/data/image-folder.ts';
import { drawScene } from '../src/data/procedural/draw-scene.ts';
import { proceduralFiles } from '../src/data/procedural/procedural-files.ts';
import { shapeKinds } from '../src/data/procedural/shapes.ts';
import { loadClassifier } from '../src/node.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { createNodePool } from '../src/platform/node/loader-workers.ts';
import { openRunFolder } from '../src/platform/node/run-folder.ts';
import { writeReport } from '../src/report/write-report.ts';
import { classData } from '../src/training/batches/class-data.ts';
import { prepareRun } from '../src/training/recipe/prepare-run.ts';
import { learn as learnTask, type TrainResult } from '../src/training/run/learn.ts';
import { runFiles } from '../src/training/run/run-files.ts';
import { runReport } from '../src/training/run/run-report.ts';
import { classifyTask } from '../src/training/task/classify-task.ts';

import { compareForms, type FormComparison } from './demo/forms.ts';
import { type DemoSettings, demoSettings } from './demo/settings.ts';

const settings = demoSettings(process.argv.slice(2));
const terminal = processTerminal();
const started = performance.now();
const engine = await nodeCpuEngine();

const { result, comparison } = await learn(settings, terminal);
if (result.ended === 'done') {
  showForms(comparison, terminal);
  await showFreshPicture(settings, terminal);
  const report = join(settings.out, 'report.html');
  const model = join(settings.out, runFiles.model);
  terminal.print(
    '',
    ...facts(
      [
        ['report', report],
        ['the net', model],
        ['try it', `npx mobileone predict photo.png --model ${model}`],
        [
          'your own',
          'npx mobileone train photos/      (a folder with one folder of pictures for each class)',
        ],
      ],
      terminal.width,
    ),
    terminal.dim(`All of this took ${((performance.now() - started) / 1000).toFixed(0)} s.`),
  );
} else process.exitCode = 130;

/** Trains, compares the forms and writes the run's folder with its report. */
async function learn(
  demo: DemoSettings,
  out: Terminal,
): Promise<{ readonly result: TrainResult; readonly comparison: FormComparison }> {
  const { size } = demo;
  const files = proceduralFiles({ train: demo.train, val: demo.val, seed: 1, ...scene(size) });
  const splits = await openImageFolder(files);
  const { config, weights } = prepareRun({
    name: 'mobileone-shapes',
    labels: splits.classes,
    model: { widths: demo.widths, pairs: demo.pairs, branches: demo.branches },
    recipe: 'small',
    epochs: demo.epochs,
    batch: demo.batch,
    size,
    data: { name: 'procedural shapes', train: demo.train, validation: demo.val, holdOut: null },
    set: recipe(size),
  });
  out.print(
    out.bold(`A small MobileOne learns ${splits.classes.length} shapes: ${splits.classes.join(', ')}`),
    `${grouped(demo.train)} pictures of ${size} × ${size} to learn from, ${demo.val} to judge by, drawn for this run; ` +
      `${demo.branches} branches a block, ${demo.epochs} epochs`,
    '',
  );
  const store = await openRunFolder(demo.out);
  const pool = await createNodePool();
  const interrupt = listenForInterrupt(() => out.note('', 'Stopping after this step.'));
  const progress = trainingProgress(config.recipe, out, out.print);
  try {
    const data = classData(splits, pool, {
      augment: config.recipe.augment,
      normalization: config.transform,
      seed: config.recipe.seed,
      cacheBytes: 2 ** 28,
    });
    const pictures = splits.val && { dataset: splits.val, decoder: await createNodeDecoder() };
    const task = classifyTask(config, { data, pictures });
    const result = await learnTask(task, {
      engine,
      weights,
      store,
      signal: interrupt.signal,
      onStep: progress.step,
      onEpoch: progress.epoch,
    });
    progress.end();
    const comparison = await compareForms(engine, config, result.weights, demo.benchMs);
    if (result.ended === 'done') {
      const report = await runReport(task, { engine, ...result });
      const forms = comparison.forms.map(({ nodes: _, ...costs }) => costs);
      await writeReport(store, { ...report, model: { facts: report.model?.facts ?? [], forms } });
    }
    return { result, comparison };
  } finally {
    progress.end();
    interrupt.release();
    await pool.close();
  }
}

/** One large shape, partly hidden. */
function scene(size: number) {
  return { width: size, height: size, radius: [0.3, 0.44], occluders: 1, noise: 0.02 } as const;
}

/** The recipe for small sets, at one size, with mild crops and without colours: the pictures vary enough by themselves. */
function recipe(size: number): readonly string[] {
  return [
    `phases=${JSON.stringify([{ epoch: 0, size, strength: 1 }])}`,
    `evaluation.resize=${size}`,
    'augment.crop={"area":[0.7,1],"ratio":[0.9,1.1]}',
    'augment.color=null',
    'average.momentum=0.01',
    'rate.warmUp.length=1',
  ];
}

function showForms({ forms, difference }: FormComparison, out: Terminal): void {
  const [branches, fused] = forms;
  const columns = [
    { heading: '' },
    ...(['nodes', 'parameters', 'million MACs', 'ms a picture', 'pictures a second'] as const).map(
      (heading) => ({
        heading,
        align: 'right' as const,
      }),
    ),
  ];
  const rows = forms.map(({ form, nodes, parameters, macs, milliseconds }) => [
    form === 'train' ? 'with branches' : 'fused',
    grouped(nodes),
    grouped(parameters),
    (macs / 1e6).toFixed(1),
    milliseconds.toFixed(3),
    grouped(Math.round(1000 / milliseconds)),
  ]);
  const faster = (branches?.milliseconds ?? 0) / (fused?.milliseconds ?? 1);
  out.print(
    '',
    out.bold('Every block folded into one convolution'),
    ...table(columns, rows, out.width),
    `The fused net is ${faster.toFixed(1)} times as fast; its probabilities differ by at most ${scientific(difference)}.`,
  );
  if (!(difference < 1e-4)) {
    out.note('The two forms disagree.');
    process.exitCode = 1;
  }
}

/** What a user of the file would do, with a picture from outside the set. */
async function showFreshPicture(demo: DemoSettings, out: Terminal): Promise<void> {
  const { size } = demo;
  const fresh = drawScene({ ...scene(size), seed: 2026 });
  const classifier = await loadClassifier(join(demo.out, runFiles.model), { engine });
  const { top } = await classifier.classify(fresh.image, { topK: 3 });
  classifier.dispose();
  out.print('', out.bold('A picture it has never seen'));
  if (out.fancy) out.print(...halfBlocks(fresh.image, Math.min(48, out.width)));
  out.print(
    ...top.map(({ className, score }) => `  ${percent(score).padStart(7)}  ${className}`),
    `  It was drawn as a ${shapeKinds[fresh.label]}.`,
  );
}
