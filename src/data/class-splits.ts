import { DataError } from '../errors.ts';
import type { ClassDataset, ClassSplits, IgnoredFile, Sample, ValidationSource } from './dataset.ts';
import type { DataFiles } from './files.ts';
import { holdOut } from './hold-out.ts';

export interface SplitOptions {
  /**
   * Share of the training pictures to validate on where the data has no part for it. Given explicitly it is also
   * preferred to a `test` part; left out, `test` serves, and without one a tenth is held out. 0 holds out nothing.
   */
  readonly holdOut?: number;
  /** Decides which pictures are held out. */
  readonly seed?: number;
}

export type SplitName = 'train' | 'val' | 'test';

const aliases: Readonly<Record<string, SplitName>> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};

/** The part of a data set that a folder or a column's value names. */
export function splitName(text: string): SplitName | undefined {
  const key = text.toLowerCase();
  return Object.hasOwn(aliases, key) ? aliases[key] : undefined;
}

const defaultHoldOut = 0.1;

/** Samples of each part, still to be given a part to validate on. */
export interface SplitSamples {
  readonly files: DataFiles;
  readonly classes: readonly string[];
  readonly samples: Readonly<Partial<Record<SplitName, readonly Sample<number>[]>>>;
  readonly ignored: readonly IgnoredFile[];
}

/** @throws DataError when there is nothing to train on */
export function classSplits(parts: SplitSamples, options: SplitOptions): ClassSplits {
  const { files, classes, ignored } = parts;
  const { name } = files;
  const { train = [], val, test } = parts.samples;
  if (train.length === 0) {
    const found = ignored[0] ? `; "${ignored[0].path}" was passed over: ${ignored[0].reason}` : '';
    throw new DataError(
      `data "${name}": expected class folders with pictures in them, such as ${name}/cat/1.jpg or ` +
        `${name}/train/cat/1.jpg, found no picture to train on${found}.`,
      { path: name, ignored: ignored.length },
    );
  }
  const dataset = (part: string, samples: readonly Sample<number>[]): ClassDataset => ({
    name: `${name} (${part})`,
    files,
    samples,
    classes,
  });
  const rest = { name, classes, ignored, test: test && dataset('test', test) };
  const result = (
    trainSamples: readonly Sample<number>[],
    valSource: ValidationSource,
    valSamples?: readonly Sample<number>[],
  ): ClassSplits => ({
    ...rest,
    train: dataset('train', trainSamples),
    val: valSamples && dataset(valSource === 'test' ? 'test' : 'val', valSamples),
    valSource,
  });
  if (val) return result(train, 'val', val);
  if (test && options.holdOut === undefined) return result(train, 'test', test);
  const { kept, held } = holdOut(train, options.holdOut ?? defaultHoldOut, options.seed ?? 0);
  return held.length > 0 ? result(kept, 'held out', held) : result(train, 'none');
}
