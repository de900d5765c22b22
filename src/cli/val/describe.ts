import type { ClassDataset } from '../../data/dataset.ts';
import { type ClassMetrics, confusedPairs } from '../../metrics/confusion.ts';
import type { FormEvaluation, NetEvaluation } from '../../task/evaluate-classifier.ts';
import type { ClassNaming } from '../../task/match-classes.ts';
import type { Terminal } from '../terminal.ts';
import { facts, printable, table } from '../text/layout.ts';
import { percent, scientific } from '../text/numbers.ts';

/** An evaluation with what it was made of. */
export interface Verdict {
  /** The net's name, and where it came from. */
  readonly model: string;
  readonly location: string;
  readonly engine: string;
  readonly dataset: ClassDataset;
  readonly naming: ClassNaming;
  /** The net's class names. */
  readonly labels: readonly string[];
  readonly evaluation: NetEvaluation;
  readonly broken: readonly { readonly path: string; readonly reason: string }[];
}

const share = (value: number | null): string => (value === null ? '–' : percent(value));

/** The keys are stable; what is added later comes after them. */
export function toJson({
  model,
  location,
  engine,
  dataset,
  naming,
  labels,
  evaluation,
  broken,
}: Verdict): string {
  const { forms, agreement, seconds, waitShare } = evaluation;
  return JSON.stringify({
    model,
    weights: location,
    engine,
    data: dataset.name,
    naming,
    forms: forms.map(({ form, metrics, seconds: running }) => {
      const { classes, ...rest } = metrics;
      return {
        form,
        ...rest,
        classes: classes.map(({ label, ...one }) => ({ label, className: labels[label], ...one })),
        secondsRunning: running,
      };
    }),
    agreement: agreement ?? null,
    seconds,
    waitShare,
    broken,
  });
}

export function toText(verdict: Verdict, { width, bold, dim }: Terminal): readonly string[] {
  const { evaluation, labels, naming } = verdict;
  const inside = width - 2;
  const indented = (lines: readonly string[]): readonly string[] => lines.map((line) => `  ${line}`);
  const note = naming === 'order' ? ['  Nothing names the net’s classes: folders were taken in order.'] : [];
  return [
    bold(`${printable(verdict.model)} on ${printable(verdict.dataset.name)}`),
    ...note,
    ...evaluation.forms.flatMap((form) => ['', ...indented(facts(formFacts(form, verdict), inside))]),
    ...agreementLines(evaluation),
    ...classLines(evaluation.forms.at(-1), labels, inside, indented, bold),
    dim(
      `  ${speedOf(evaluation)} pictures a second with reading them; ${percent(evaluation.waitShare)} of the time waiting for pictures`,
    ),
  ];
}

const speedOf = ({ forms, seconds }: NetEvaluation): string =>
  ((forms[0]?.metrics.count ?? 0) / Math.max(1e-9, seconds)).toFixed(1);

function formFacts(
  { form, metrics }: FormEvaluation,
  { broken }: Verdict,
): readonly (readonly [string, string])[] {
  const present = metrics.classes.filter(({ support }) => support > 0).length;
  return [
    ['form', form],
    [
      'pictures',
      `${metrics.count} of ${present} classes${broken.length > 0 ? `, ${broken.length} unreadable` : ''}`,
    ],
    ['top-1', share(metrics.top1)],
    ...(metrics.classes.length > 5 ? [['top-5', share(metrics.top5)] as const] : []),
    [
      'class mean',
      `recall ${share(metrics.macro.recall)}, precision ${share(metrics.macro.precision)}, F1 ${share(metrics.macro.f1)}`,
    ],
    ['loss', metrics.loss === null ? 'no number' : metrics.loss.toFixed(4)],
    ['calibration', `probabilities are off by ${share(metrics.calibration.error)} on average`],
  ];
}

function agreementLines({ agreement }: NetEvaluation): readonly string[] {
  if (agreement === undefined) return [];
  const answers = agreement.answers === 0 ? 'the same answers' : `${agreement.answers} answers differ`;
  return [
    '',
    `  Both forms: ${answers}; probabilities differ by at most ${scientific(agreement.probability)}.`,
  ];
}

/** All classes where they are few, else the worst. */
const mostClasses = 30;
const worstClasses = 15;
const mostPairs = 10;

function classLines(
  form: FormEvaluation | undefined,
  labels: readonly string[],
  width: number,
  indented: (lines: readonly string[]) => readonly string[],
  bold: (text: string) => string,
): readonly string[] {
  if (form === undefined) return [];
  const { classes, confusion } = form.metrics;
  const nameOf = (label: number): string => printable(labels[label] ?? `class ${label}`);
  const seen = classes.filter(({ support }) => support > 0).sort(byRecall);
  const listed = seen.length > mostClasses ? seen.slice(0, worstClasses) : seen;
  const rows = listed.map(({ label, recall, precision, f1, support }) => [
    nameOf(label),
    share(recall),
    share(precision),
    share(f1),
    String(support),
  ]);
  const columns = [
    { heading: 'class', least: 12 },
    ...(['recall', 'precision', 'F1', 'pictures'] as const).map((heading) => ({
      heading,
      align: 'right' as const,
    })),
  ];
  const pairs = confusedPairs(confusion, mostPairs).map(({ truth, predicted, count, share: part }) => [
    `${nameOf(truth)} taken for ${nameOf(predicted)}`,
    String(count),
    percent(part),
  ]);
  const pairColumns = [
    { heading: '', least: 20 },
    { heading: '', align: 'right' },
    { heading: '', align: 'right' },
  ] as const;
  return [
    '',
    bold(
      listed.length < seen.length
        ? `Classes, the worst ${listed.length} of ${seen.length}`
        : 'Classes, worst first',
    ),
    ...indented(table(columns, rows, width)),
    ...(pairs.length > 0
      ? ['', bold('Most frequent mistakes'), ...indented(table(pairColumns, pairs, width))]
      : []),
    '',
  ];
}

const byRecall = (a: ClassMetrics, b: ClassMetrics): number =>
  (a.recall ?? 0) - (b.recall ?? 0) || (a.precision ?? 0) - (b.precision ?? 0) || a.label - b.label;
