import { DataError } from '../errors.ts';
import { classSplits, type SplitName, type SplitOptions, splitName } from './class-splits.ts';
import { type ClassSplits, type IgnoredFile, isHidden, isPictureName, type Sample } from './dataset.ts';
import type { DataEntries, DataFiles } from './files.ts';

/**
 * A folder of class folders: `cat/1.jpg`, `cat/more/2.jpg`, `dog/3.jpg`; or the same inside `train`, `val` (or
 * `valid`, `validation`) and `test`. Classes are the folders' names in code-unit order, as torchvision's
 * `ImageFolder` sorts them; an empty class folder is a class. Hidden files are passed over silently, other files
 * that are not pictures by name are listed in `ignored`.
 * @throws DataError when there is no class folder with pictures, or a part has a class that `train` lacks
 */
export async function openImageFolder(files: DataFiles, options: SplitOptions = {}): Promise<ClassSplits> {
  const entries = visible(await files.list());
  const roots = splitRoots(entries);
  const classes = classNames(files, entries, roots);
  const indexOf = new Map(classes.map((name, index) => [name, index]));
  const samples: Partial<Record<SplitName, Sample<number>[]>> = {};
  for (const split of roots.values()) samples[split] = [];
  const ignored: IgnoredFile[] = [];
  for (const path of entries.files) {
    const place = placeOf(path, roots);
    const target = place && indexOf.get(place.className);
    if (!isPictureName(path)) ignored.push({ path, reason: 'not a picture by its name' });
    else if (!place || target === undefined) ignored.push({ path, reason: 'not in a class folder' });
    else samples[place.split]?.push({ path, target });
  }
  return classSplits({ files, classes, samples, ignored }, options);
}

function visible(entries: DataEntries): DataEntries {
  const shown = (path: string): boolean => !isHidden(path);
  return { files: entries.files.filter(shown), folders: entries.folders.filter(shown) };
}

/** Folder → part. `''` is the root itself: class folders lie there, and all are for training. */
type SplitRoots = ReadonlyMap<string, SplitName>;

/** A class may be called "train"; split folders are recognized by a companion, or by being alone. */
function splitRoots(entries: DataEntries): SplitRoots {
  const top = entries.folders.filter((path) => !path.includes('/'));
  const named = new Map<string, SplitName>();
  for (const folder of top) {
    const split = splitName(folder);
    if (split) named.set(folder, split);
  }
  const kinds = new Set(named.values());
  const isParted = kinds.has('train') && (kinds.size > 1 || top.length === 1) && kinds.size === named.size;
  return isParted ? named : new Map([['', 'train']]);
}

/** The part and class folder a path lies in. */
function placeOf(path: string, roots: SplitRoots): { split: SplitName; className: string } | undefined {
  const [first = '', second, third] = path.split('/');
  const nested = roots.get(first);
  if (nested) return third === undefined ? undefined : { split: nested, className: second ?? '' };
  const flat = roots.get('');
  return flat && second !== undefined ? { split: flat, className: first } : undefined;
}

/** Names of the training part's class folders, sorted. */
function classNames(files: DataFiles, entries: DataEntries, roots: SplitRoots): string[] {
  const bySplit = new Map<SplitName, Set<string>>();
  for (const folder of entries.folders) {
    const place = placeOf(`${folder}/`, roots);
    if (!place) continue;
    const names = bySplit.get(place.split) ?? new Set();
    bySplit.set(place.split, names.add(place.className));
  }
  const train = bySplit.get('train') ?? new Set<string>();
  for (const [split, names] of bySplit) {
    const strange = [...names].filter((name) => !train.has(name)).sort();
    if (strange.length === 0) continue;
    throw new DataError(
      `data "${files.name}": the ${split} part has ${strange.length} class folders that the train part lacks ` +
        `(${strange.slice(0, 5).join(', ')}); rename them as in train, or add training pictures.`,
      { path: files.name, split, classes: strange },
    );
  }
  return [...train].sort();
}
