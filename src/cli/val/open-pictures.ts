import type { SplitName } from '../../data/class-splits.ts';
import type { ClassDataset, ClassSplits } from '../../data/dataset.ts';
import { UsageError } from '../../errors.ts';
import { openDataPath } from '../../platform/node/folder-files.ts';

export interface SplitFlags {
  readonly split?: SplitName;
  readonly holdOut?: number;
  readonly seed?: number;
}

/**
 * The pictures to judge by: the part asked for, or what was held out; else the part for validation or for tests, else
 * all there are.
 * @throws DataError for data that cannot be used, UsageError for a part that it does not have
 */
export async function openPictures(
  path: string,
  { split, holdOut, seed }: SplitFlags,
): Promise<ClassDataset> {
  const data = await openDataPath(path, { holdOut: holdOut ?? 0, ...(seed === undefined ? {} : { seed }) });
  if (split === undefined && holdOut === undefined) return data.val ?? data.test ?? everything(data);
  const wanted = split ?? 'val';
  const part = data[wanted];
  if (part !== undefined && part.samples.length > 0) return part;
  throw new UsageError(
    `--split ${wanted}: "${path}" has no such part; it has ${Object.entries({
      train: data.train,
      val: data.val,
      test: data.test,
    })
      .flatMap(([name, one]) => (one ? [name] : []))
      .join(' and ')}. --hold-out 0.1 holds out what "train" would.`,
    { path, split: wanted },
  );
}

const everything = ({ train, name }: ClassSplits): ClassDataset => ({ ...train, name });
