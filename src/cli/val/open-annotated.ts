import type { AnnotatedDataset } from '../../data/annotations/annotated.ts';
import {
  type AnnotationReport,
  checkAnnotations,
  describeAnnotationReport,
} from '../../data/annotations/check-annotations.ts';
import { openAnnotated } from '../../data/annotations/open-annotated.ts';
import { UsageError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { folderFiles } from '../../platform/node/folder-files.ts';
import type { Terminal } from '../terminal.ts';
import { printable } from '../text/layout.ts';
import type { SplitFlags } from './open-pictures.ts';

export interface AnnotatedFlags extends SplitFlags {
  readonly strict?: boolean;
}

/** Annotated pictures to judge by, and what is wrong with them. */
export interface AnnotatedPart {
  readonly dataset: AnnotatedDataset;
  readonly report: AnnotationReport;
}

/**
 * The part asked for, or what was held out; else the part for validation or for tests, else all there is.
 * @throws DataError for data that cannot be used, or with `strict` has faults; UsageError for a part that it lacks
 */
export async function openAnnotatedPart(
  path: string,
  task: 'detect' | 'segment',
  { split, holdOut, seed, strict = false }: AnnotatedFlags,
  decoder: ImageDecoder,
  terminal: Terminal,
): Promise<AnnotatedPart> {
  const options = { task, holdOut: holdOut ?? 0, mayLackTraining: true };
  const found = await openAnnotated(folderFiles(path), decoder, {
    ...options,
    ...(seed === undefined ? {} : { seed }),
  });
  const wanted = split ?? (holdOut === undefined ? undefined : 'val');
  const chosen = wanted ?? (found.val ? 'val' : found.test ? 'test' : 'train');
  const part = found[chosen];
  if (part === undefined || part.samples.length === 0)
    throw new UsageError(
      `--split ${chosen}: "${path}" has no such part; it has ${(['train', 'val', 'test'] as const).filter((one) => (found[one]?.samples.length ?? 0) > 0).join(' and ')}. --hold-out 0.1 holds out what "train" would.`,
      { path, split: chosen },
    );
  // Only what is judged is looked at.
  const alone = { ...found, train: part, val: undefined, test: undefined, valSource: 'none' } as const;
  const { data, report } = await checkAnnotations(alone, decoder, { onFault: strict ? 'stop' : 'skip' });
  const { name } = wanted === undefined && chosen === 'train' ? found : part;
  const shown = { ...report, name, parts: report.parts.map((one) => ({ ...one, split: chosen })) };
  terminal.note(...describeAnnotationReport(shown).map(printable));
  return { dataset: { ...data.train, name }, report: shown };
}
