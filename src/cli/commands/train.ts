import { type Command, InvalidArgumentError, Option } from 'commander';
import { anchorStyles } from '../../detection/anchors.ts';
import { UsageError } from '../../errors.ts';
import { variantNames } from '../../model/config.ts';
import { deepLabStyles } from '../../model/deeplabv3.ts';
import { createNodePool } from '../../platform/node/loader-workers.ts';
import { taskTitles } from '../../task/task-head.ts';
import { detectRecipes, segmentRecipes } from '../../training/recipe/joint-recipes.ts';
import { recipeNames } from '../../training/recipe/recipes.ts';
import { type LearnOptions, learn, type TrainResult } from '../../training/run/learn.ts';
import { livingReport } from '../../training/run/living-report.ts';
import { runFiles } from '../../training/run/run-files.ts';
import type { LearningTask } from '../../training/task/learning-task.ts';
import { scoreTitles, taskScores } from '../../training/task/scores.ts';
import { positiveInteger, wholeNumber } from '../arguments.ts';
import { addEngineOptions, chooseEngine, type EngineFlags } from '../engine-options.ts';
import { describeError } from '../report-error.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable } from '../text/layout.ts';
import { grouped, percent } from '../text/numbers.ts';
import { listenForInterrupt } from '../train/interrupt.ts';
import { learningTask } from '../train/learning-task.ts';
import type { NewRunFlags } from '../train/new-run-flags.ts';
import { type TrainingProgress, trainingProgress } from '../train/progress.ts';
import { beginRun, resumeRun, type StartedRun } from '../train/start-run.ts';
import { addHubOptions } from '../weights.ts';

interface TrainFlags extends NewRunFlags, Omit<EngineFlags, 'precision'> {
  readonly resume?: string;
  readonly teacher?: string;
  readonly workers?: number;
  readonly report: boolean;
  readonly json?: boolean;
}

const example = `
Examples:
  mobileone train photos/                     a folder with one folder of pictures for each class
  mobileone train photos/ --from s0           from ImageNet weights, in fewer epochs
  mobileone train cells/ --task detect        pictures with boxes: what is where
  mobileone train streets/ --task segment     pictures with masks of classes: what lies where
  mobileone train --resume runs/photos-1      go on where a run was stopped
  mobileone train photos/ --set rate.base=0.2 --set augment.mixup=0.2`;

export function addTrain(program: Command, terminal: Terminal): void {
  const command = program
    .command('train')
    .summary('learn to tell pictures apart, or to find what is in them')
    .description(
      'Trains a net on a folder of class folders (or a list), on pictures with boxes (COCO, Pascal VOC, YOLO) or with masks of classes (or outlines of COCO objects), and leaves a run folder: configuration, metrics, report, checkpoints and model.safetensors, which "mobileone predict --model" takes as it is.',
    )
    .argument('[data]', 'folder of class folders, a list of path,label, or annotated pictures')
    .addOption(
      new Option('--task <task>', 'what to learn; default what the data is annotated for').choices([
        'classify',
        'detect',
        'segment',
      ]),
    )
    .option('--out <folder>', "the run's folder; default runs/<data>-<n>")
    .option('--resume <folder>', 'go on with a run from its last checkpoint')
    .addOption(new Option('-m, --model <variant>', 'net to train; default s0').choices(variantNames))
    .option('--branches <k>', 'branches of each block while it trains', positiveInteger)
    .option('--width <factor>', 'channels of all stages, times this', factor)
    .option(
      '--from <model>',
      'start from a known model or a checkpoint; its classifier stays if the classes do',
    )
    .option('--freeze <level>', 'what does not learn: none, stem, stage1 …, backbone')
    .option('--teacher <model>', "learn a net's answers too, as recipe distill says")
    .option(
      '--recipe <name>',
      `${[...recipeNames, ...Object.keys(segmentRecipes), ...Object.keys(detectRecipes)].join(', ')}; default by the data`,
    )
    .option('--epochs <n>', 'how often every picture is seen; schedules move in proportion', positiveInteger)
    .option('--batch <n>', 'pictures a step; the learning rate moves in proportion', positiveInteger)
    .option('--size <n>', 'side of the pictures', positiveInteger)
    .option('--set <key=value>', 'another value in the recipe; may be repeated', gather, [])
    .option('--seed <n>', 'decides weights, order and augmentation; default 0', wholeNumber)
    .option(
      '--hold-out <share>',
      'of the training pictures, to validate on; default what the data says',
      share,
    )
    .option('--workers <n>', 'threads that load pictures', wholeNumber)
    .addOption(
      new Option('--style <name>', 'whose DeepLabV3 to segment with; default torchvision').choices(
        Object.keys(deepLabStyles),
      ),
    )
    .option('--head-channels <n>', 'of the segmentation head; default 128', positiveInteger)
    .addOption(
      new Option('--output-stride <n>', 'pixels a feature of segmentation; default 16')
        .choices(['8', '16'])
        .argParser((text) => (text === '8' ? 8 : 16)),
    )
    .addOption(
      new Option('--anchors <which>', 'fitted to the data, or whose; default data').choices([
        'data',
        ...Object.keys(anchorStyles),
      ]),
    )
    .option('--strict', 'stop at faults in annotations instead of leaving them out')
    .option('--no-check', 'start without looking at every picture first')
    .option('--no-report', 'no report.html and plots')
    .option('--json', 'one JSON object a line: each epoch, then the result');
  addHubOptions(addEngineOptions(command))
    .addHelpText('after', example)
    .action(async (data: string | undefined, flags: TrainFlags) => {
      const ended = await runTraining(data, flags, terminal);
      if (ended === 'stopped') process.exitCode = 130;
    });
}

function gather(text: string, all: readonly string[]): readonly string[] {
  return [...all, text];
}

function factor(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0 && value <= 16) return value;
  throw new InvalidArgumentError('A number above 0 such as 0.5 is expected.');
}

function share(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value < 1) return value;
  throw new InvalidArgumentError('A share such as 0.1 is expected.');
}

async function runTraining(
  data: string | undefined,
  flags: TrainFlags,
  terminal: Terminal,
): Promise<TrainResult['ended']> {
  const run = await startRun(data, flags, terminal);
  const { precision: _, ...engineFlags } = flags;
  const [engine, compile] = await chooseEngine(engineFlags);
  const pool = await createNodePool(flags.workers === undefined ? {} : { workers: flags.workers });
  const progress = trainingProgress(
    run.config.recipe,
    terminal,
    flags.json === true ? terminal.note : terminal.print,
  );
  const aside: Terminal = { ...terminal, note: progress.note };
  const interrupt = listenForInterrupt(() =>
    aside.note('', 'Stopping: this step ends and a checkpoint is written. Ctrl-C again stops at once.'),
  );
  try {
    terminal.note(...facts(startFacts(run), terminal.progressWidth));
    const { store, weights, from } = run;
    const task = await learningTask(run, pool, flags, aside);
    const report = flags.report ? livingReport(task, store, { engine, compile }) : undefined;
    const result = await trainShown(
      task,
      {
        ...{ engine, compile, store, signal: interrupt.signal },
        ...(from ? { from } : {}),
        ...(weights ? { weights } : {}),
        // A report that cannot be written is no reason to stop learning; the last one is asked for again at the end.
        onEpoch: (_row, _isBest, soFar) =>
          report?.renew(soFar).catch((error: unknown) => aside.note(describeError(error, false) ?? '')),
      },
      flags,
      terminal,
      progress,
    );
    await report?.finish(result);
    tellResult(result, store.name, flags, terminal);
    return result.ended;
  } finally {
    interrupt.release();
    await pool.close();
  }
}

async function startRun(
  data: string | undefined,
  flags: TrainFlags,
  terminal: Terminal,
): Promise<StartedRun> {
  if (flags.resume !== undefined) return resumeRun(flags.resume, data, flags, terminal);
  if (data === undefined)
    throw new UsageError('train: expected a folder of class folders, or --resume with the folder of a run.');
  const distill = flags.set.some((one) => one.startsWith('distill'));
  const set = flags.teacher === undefined || distill ? flags.set : [...flags.set, defaultDistill];
  return beginRun(data, { ...flags, set }, terminal);
}

const defaultDistill = 'distill={"share":0.5,"temperature":2}';

function trainShown(
  task: LearningTask,
  options: Omit<LearnOptions, 'onStep'>,
  flags: TrainFlags,
  terminal: Terminal,
  progress: TrainingProgress,
): Promise<TrainResult> {
  return learn(task, {
    ...options,
    onStep: progress.step,
    onEpoch: async (row, isBest, run) => {
      if (flags.json) terminal.print(JSON.stringify({ event: 'epoch', ...row, best: isBest }));
      if (!flags.json || terminal.drawsProgress) progress.epoch(row, isBest);
      await options.onEpoch?.(row, isBest, run);
    },
  }).finally(progress.end);
}

function startFacts({ config, store, origin }: StartedRun): readonly Fact[] {
  const { model, recipe, labels, data, task = 'classify' } = config;
  const phases = recipe.phases
    .filter(({ size }, i, all) => size !== all[i - 1]?.size)
    .map(({ epoch, size }) => `${size} px from epoch ${epoch + 1}`)
    .join(', ');
  return [
    ['run', printable(store.name)],
    ['task', taskTitles[task]],
    ['net', `${model.name}, k = ${model.branches}, ${labels.length} classes; ${origin}`],
    ['data', `${grouped(data.train)} training and ${grouped(data.validation)} validation pictures`],
    [
      'recipe',
      `${recipe.name}: ${recipe.epochs} epochs of batches of ${recipe.batch} in ${recipe.precision}; ${phases}`,
    ],
  ];
}

function tellResult(
  { ended, progress, config }: TrainResult,
  folder: string,
  flags: TrainFlags,
  terminal: Terminal,
) {
  const best = progress.history[progress.bestEpoch - 1];
  const { deciding, validation } = taskScores[config.task ?? 'classify'];
  if (flags.json) {
    const { bestEpoch, step } = progress;
    const columns = validation.filter((column) => column !== 'loss');
    const scores = { bestEpoch, ...Object.fromEntries(columns.map((name) => [name, best?.[name] ?? null])) };
    terminal.print(JSON.stringify({ event: 'end', ended, step, ...scores, run: folder }));
    return;
  }
  const name = printable(folder);
  const lines: Fact[] = [];
  if (best) {
    const share = best[deciding];
    const score =
      typeof share === 'number'
        ? `: ${scoreTitles[deciding] ?? deciding} ${percent(share)} on ${config.data.validation} pictures`
        : '';
    lines.push(['best', `epoch ${best.epoch}${score}`], ['model', `${name}/${runFiles.model}`]);
    if (flags.report) lines.push(['report', `${name}/report.html`]);
  }
  if (ended === 'stopped') lines.push(['go on', `mobileone train --resume ${name}`]);
  else lines.push(['try it', `mobileone predict --model ${name}/${runFiles.model} photo.jpg`]);
  terminal.print(...facts(lines, terminal.width));
}
