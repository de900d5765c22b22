import { SingleBar } from 'cli-progress';
import type { CommonRecipe } from '../../training/recipe/recipe.ts';
import { phaseAt } from '../../training/recipe/schedules.ts';
import type { StepReport } from '../../training/run/epoch.ts';
import type { MetricsRow } from '../../training/run/run-progress.ts';
import { scoreTitles } from '../../training/task/scores.ts';
import type { Terminal } from '../terminal.ts';
import { percent } from '../text/numbers.ts';

/** Shows how a run goes: a bar where there is a terminal, otherwise a line now and then. */
export interface TrainingProgress {
  readonly step: (report: StepReport) => void;
  readonly epoch: (row: MetricsRow, isBest: boolean) => void;
  /** Something else to say meanwhile: on lines of its own, where a bar would stand in its way. */
  readonly note: (...lines: readonly string[]) => void;
  readonly end: () => void;
}

const plainSeconds = 30;

/** @param print where the lines of epochs go */
export function trainingProgress(
  recipe: CommonRecipe,
  terminal: Terminal,
  print: (line: string) => void,
): TrainingProgress {
  let bar: SingleBar | undefined;
  let lastLine = performance.now();
  const endBar = (): void => {
    bar?.stop();
    bar = undefined;
  };
  return {
    step: (report) => {
      if (terminal.drawsProgress) {
        bar ??= startBar(report, terminal.progressWidth);
        bar.update(report.step, { text: stepText(report, recipe, terminal.progressWidth) });
      } else if (performance.now() - lastLine > 1000 * plainSeconds) {
        lastLine = performance.now();
        terminal.note(
          `epoch ${report.epoch}/${report.epochs} step ${report.step}/${report.stepsPerEpoch}  ${stepText(report, recipe, Number.POSITIVE_INFINITY)}`,
        );
      }
    },
    epoch: (row, isBest) => {
      endBar();
      lastLine = performance.now();
      print(
        fitted(epochParts(row, recipe, isBest), terminal.fancy ? terminal.width : Number.POSITIVE_INFINITY),
      );
    },
    note: (...lines) => {
      endBar();
      terminal.note(...lines);
    },
    end: endBar,
  };
}

function startBar({ stepsPerEpoch, epoch, epochs }: StepReport, width: number): SingleBar {
  const bar = new SingleBar({
    format: `${epoch}/${epochs} {bar} {text}`,
    barsize: Math.max(4, Math.min(24, width - 70)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(stepsPerEpoch, 0, { text: '' });
  return bar;
}

/** `loss 2.871  top-1 12.40%  31 img/s  1:12:40 left  wait 2%`, shorter where there is no room. */
function stepText(report: StepReport, recipe: CommonRecipe, width: number): string {
  const parts = [
    `loss ${report.meanLoss.toFixed(3)}`,
    ...(report.top1 === undefined ? [] : [`top-1 ${percent(report.top1)}`]),
    `${report.imagesPerSecond.toFixed(0)} img/s`,
    `${duration(secondsLeft(report, recipe))} left`,
    `wait ${(100 * report.waitShare).toFixed(0)}%`,
  ];
  while (parts.length > 1 && parts.join('  ').length > width - 20) parts.pop();
  return parts.join('  ');
}

/** Time for the steps that are left, by the speed of this epoch; larger pictures take longer in proportion. */
export function secondsLeft(report: StepReport, recipe: CommonRecipe): number {
  const { epoch, step, stepsPerEpoch, size, imagesPerSecond } = report;
  let steps = stepsPerEpoch - step;
  for (let e = epoch; e < recipe.epochs; e++)
    steps += stepsPerEpoch * (phaseAt(recipe.phases, e).size / size) ** 2;
  return (steps * recipe.batch) / Math.max(1e-9, imagesPerSecond);
}

/** 4360 → `1:12:40` */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Side by side, or on several lines where there is no room. */
function fitted(parts: readonly string[], width: number): string {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 2 + part.length <= width)
      lines[lines.length - 1] = `${last}  ${part}`;
    else lines.push(lines.length === 0 ? part : `    ${part}`);
  }
  return lines.join('\n');
}

function epochParts(row: MetricsRow, { epochs }: CommonRecipe, isBest: boolean): readonly string[] {
  const width = String(epochs).length;
  return [
    `epoch ${String(row.epoch).padStart(width)}/${epochs}`,
    `${row.size} px`,
    `train loss ${row.trainLoss.toFixed(3)}${scoreText('top-1', row.trainTop1)}`,
    ...validationText(row),
    `rate ${row.rate.toPrecision(3)}`,
    `${row.imagesPerSecond.toFixed(1)} img/s, waiting ${(100 * row.waitShare).toFixed(1)}%`,
    ...(isBest ? ['best'] : []),
  ];
}

/** `val loss 1.234 top-1 56.78%`: what there is, under the names that people use. */
function validationText(row: MetricsRow): readonly string[] {
  const scores = Object.entries(scoreTitles).map(([column, title]) => scoreText(title, row[column]));
  const loss = typeof row.loss === 'number' ? ` loss ${row.loss.toFixed(3)}` : '';
  const text = `${loss}${scores.join('')}`;
  return text === '' ? [] : [`val${text}`];
}

const scoreText = (title: string, share: number | null | undefined): string =>
  typeof share === 'number' ? ` ${title} ${percent(share)}` : '';
