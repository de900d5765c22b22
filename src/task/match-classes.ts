import { DataError } from '../errors.ts';
import { editDistance } from '../hub/edit-distance.ts';
import { imagenetClasses } from '../hub/labels/class-names.ts';

/** How a data set's class names were taken. `order`: nothing says what the net's classes are called. */
export type ClassNaming = 'labels' | 'synsets' | 'numbers' | 'order';

export interface ClassMatch {
  readonly naming: ClassNaming;
  /** The net's class for each of the data set's. */
  readonly indices: readonly number[];
}

export interface NetClasses {
  readonly count: number;
  /** By index; undefined when nothing says what they are. */
  readonly labels: readonly string[] | undefined;
  /** Whether they are ImageNet-1k's, so that WordNet ids name them too. */
  readonly imagenet: boolean;
}

type Reading = (name: string) => number | undefined;

/**
 * Which class of a net each class of a data set is: by the net's labels (whatever the case, with spaces, hyphens and
 * underscores alike, and by any of a label's synonyms), by ImageNet's WordNet ids (`n01440764`), by numbers (`7`,
 * `007`), or in order when the net's labels are not known and there are as many. One way must fit all names.
 * @param folders the data set's class names
 * @throws DataError naming those that fit nowhere, with the nearest label
 */
export function matchClasses(where: string, folders: readonly string[], net: NetClasses): ClassMatch {
  const readings: readonly (readonly [ClassNaming, Reading])[] = [
    ...(net.labels ? [['labels', labelReading(net.labels)] as const] : []),
    ...(net.imagenet ? [['synsets', synsetReading()] as const] : []),
    ['numbers', numberReading(net.count)],
  ];
  for (const [naming, read] of readings) {
    const indices = folders.flatMap((folder) => read(folder) ?? []);
    if (indices.length === folders.length && new Set(indices).size === folders.length)
      return { naming, indices };
  }
  if (net.labels === undefined && folders.length === net.count)
    return { naming: 'order', indices: folders.map((_, i) => i) };
  throw mismatch(where, folders, net, readings);
}

const plain = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
    .trim();

/** Whole labels first; parts between commas where only one label has them. */
function labelReading(labels: readonly string[]): Reading {
  const whole = new Map<string, number>();
  const parts = new Map<string, number | undefined>();
  for (const [index, label] of labels.entries()) {
    if (!whole.has(plain(label))) whole.set(plain(label), index);
    for (const part of label.split(',').map(plain)) {
      const other = parts.get(part);
      parts.set(part, !parts.has(part) || other === index ? index : undefined);
    }
  }
  return (name) => {
    const exact = labels.indexOf(name);
    return exact >= 0 ? exact : (whole.get(plain(name)) ?? parts.get(plain(name)));
  };
}

function synsetReading(): Reading {
  const indexOf = new Map(imagenetClasses().map(({ synset, index }) => [synset, index]));
  return (name) => indexOf.get(/^n\d{8}/.exec(name)?.[0] ?? '');
}

const numberReading =
  (count: number): Reading =>
  (name) => {
    const index = /^\d{1,6}$/.test(name) ? Number(name) : count;
    return index < count ? index : undefined;
  };

function mismatch(
  where: string,
  folders: readonly string[],
  { labels, count }: NetClasses,
  readings: readonly (readonly [ClassNaming, Reading])[],
): DataError {
  const strangersOf = ([, read]: (typeof readings)[number]): readonly string[] =>
    folders.filter((folder) => read(folder) === undefined);
  // What the way that fits best leaves over.
  const strangers = readings.map(strangersOf).sort((a, b) => a.length - b.length)[0] ?? folders;
  const shown = strangers.slice(0, 5).map((name) => {
    const near = labels && nearest(name, labels);
    return near === undefined ? `"${name}"` : `"${name}" (nearest: "${near}")`;
  });
  const names = strangers.length === 0 ? 'two folders that mean the same class' : shown.join(', ');
  const more = strangers.length > 5 ? ` and ${strangers.length - 5} more` : '';
  const known = labels ? `such as ${labels.slice(0, 3).join(', ')}` : 'whose names nothing tells';
  return new DataError(
    `data "${where}": expected ${folders.length} classes of the net's ${count}, ${known}; found ${names}${more}. ` +
      'Name the class folders as the labels are, or by number from 0, or give the labels with --labels FILE.',
    { path: where, unknown: strangers, classes: count },
  );
}

/** The most similar label, when it is similar at all. */
function nearest(name: string, labels: readonly string[]): string | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const label of labels.slice(0, 5000)) {
    const distance = Math.min(...label.split(',').map((part) => editDistance(wanted, plain(part))));
    if (distance < least) [least, best] = [distance, label];
  }
  return best;
}
