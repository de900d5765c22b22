import { DataError } from '../errors.ts';
import type { DataReport, Duplicate } from './check-dataset.ts';

/** How many of a kind of finding are named before "and n more". */
const named = 5;
const strongImbalance = 5;

/** The report as plain lines: what there is, then each thing that may be wrong. */
export function describeDataReport(report: DataReport): string[] {
  const { classes, shortSide } = report;
  const sizes = shortSide
    ? `, short side ${shortSide.min} to ${shortSide.max} px (median ${shortSide.median})`
    : '';
  const parts = report.splits.map(({ split, pictures }) => `${pictures} ${split}`).join(', ');
  return [
    `${report.name}: ${classes.length} classes, ${parts}${sizes}`,
    ...(report.valSource === 'held out' ? ['validation pictures are held out of the training pictures'] : []),
    ...(report.valSource === 'test' ? ['validation uses the test pictures; there is no val part'] : []),
    ...(report.valSource === 'none' ? ['warning: there are no pictures to validate on'] : []),
    ...classLines(report),
    ...findings(report),
  ];
}

function classLines({ classes, splits }: DataReport): string[] {
  if (classes.length > 100) return [];
  const width = Math.max(...classes.map((name) => name.length));
  const header = `  ${'class'.padEnd(width)}${splits.map(({ split }) => split.padStart(8)).join('')}`;
  const rows = classes.map((name, index) => {
    const counts = splits.map(({ perClass }) => String(perClass[index] ?? 0).padStart(8)).join('');
    return `  ${name.padEnd(width)}${counts}`;
  });
  return [header, ...rows];
}

function findings(report: DataReport): string[] {
  const duplicates = (kind: Duplicate['kind']): string[] =>
    report.duplicates.filter((d) => d.kind === kind).map(({ paths }) => paths.join(' = '));
  const { imbalance } = report;
  return [
    ...listed(
      'broken pictures, left out of training',
      report.broken.map(({ path, reason }) => `${path} (${reason})`),
    ),
    ...listed('classes without training pictures', report.emptyClasses),
    ...listed('classes without validation pictures', report.unvalidatedClasses),
    ...listed('pictures in more than one class', duplicates('different classes')),
    ...listed(
      'pictures in more than one part, so that validation sees training pictures',
      duplicates('across parts'),
    ),
    ...listed('pictures more than once in a class', duplicates('same class')),
    ...listed(
      'files passed over',
      report.ignored.map(({ path, reason }) => `${path} (${reason})`),
    ),
    ...(imbalance >= strongImbalance
      ? [`warning: the largest class has ${imbalance.toFixed(1)} times the pictures of the smallest`]
      : []),
  ];
}

function listed(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > named ? [`  and ${items.length - named} more`] : [];
  return [`warning: ${items.length} ${what}:`, ...items.slice(0, named).map((item) => `  ${item}`), ...more];
}

/** @throws DataError when no classifier can be trained on the data: under two classes with pictures that decode */
export function requireTrainable(report: DataReport): void {
  const { name } = report;
  const train = report.splits.find(({ split }) => split === 'train');
  const present = report.classes.filter((_, index) => (train?.perClass[index] ?? 0) > 0);
  if (present.length < 2) {
    const found = present[0] === undefined ? 'none' : `one ("${present[0]}")`;
    throw new DataError(
      `data "${name}": expected at least two classes with training pictures, found ${found}; each class needs a ` +
        'folder of its own. If the class folders lie deeper, give the path of the folder that holds them.',
      { path: name, classes: present },
    );
  }
  const pictures = report.splits.reduce((sum, split) => sum + split.pictures, 0);
  if (report.broken.length >= pictures) {
    throw new DataError(
      `data "${name}": none of ${pictures} pictures can be decoded; the first, ${report.broken[0]?.path}: ${report.broken[0]?.reason}`,
      { path: name, broken: report.broken.length },
    );
  }
}
