import { DataError } from '../errors.ts';
import { deriveSeed } from '../tensor/random.ts';
import type { Sample } from './dataset.ts';

/**
 * Parts samples in two, class by class: `round(fraction · n)` of each class's n samples are held out, at least one
 * and at most n − 1; of a class with one sample, none. Which ones depends on the seed and their paths alone, so
 * that adding pictures moves few of the others. Both parts keep the order of `samples`.
 * @throws DataError when `fraction` is not in [0, 1)
 */
export function holdOut(
  samples: readonly Sample<number>[],
  fraction: number,
  seed: number,
): { readonly kept: Sample<number>[]; readonly held: Sample<number>[] } {
  if (!(fraction >= 0 && fraction < 1)) {
    throw new DataError(`held-out fraction: expected a number from 0 and below 1, found ${fraction}.`, {
      fraction,
    });
  }
  const classes = new Map<number, Sample<number>[]>();
  for (const sample of samples) {
    const members = classes.get(sample.target);
    if (members) members.push(sample);
    else classes.set(sample.target, [sample]);
  }
  const held = new Set<Sample<number>>();
  for (const members of classes.values()) {
    const count =
      fraction === 0 ? 0 : Math.min(members.length - 1, Math.max(1, Math.round(members.length * fraction)));
    const ranked = members
      .map((sample) => ({ sample, rank: deriveSeed(seed, hashText(sample.path)) }))
      .sort((a, b) => a.rank - b.rank || (a.sample.path < b.sample.path ? -1 : 1));
    for (const { sample } of ranked.slice(0, count)) held.add(sample);
  }
  return { kept: samples.filter((s) => !held.has(s)), held: samples.filter((s) => held.has(s)) };
}

/** FNV-1a over UTF-16 units. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
