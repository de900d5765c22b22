import { IGNORE } from '../../image/index-map.ts';
import type { AnnotatedDataset } from './annotated.ts';
import { UNKNOWN } from './class-list.ts';

/**
 * The same pictures with a net's classes.
 * @param indices the net's class for each of the data's
 */
export function renameClasses(
  dataset: AnnotatedDataset,
  classes: readonly string[],
  indices: readonly number[],
): AnnotatedDataset {
  const { samples, coding, categoryIds, pixels: _, ...rest } = dataset;
  const renamed = (category: number): number => indices[category] ?? IGNORE;
  return {
    ...rest,
    classes,
    ...(categoryIds && {
      categoryIds: classes.map((_, label) => categoryIds[indices.indexOf(label)] ?? label),
    }),
    coding: coding?.map((value) => (value < UNKNOWN ? renamed(value) : value)),
    samples: samples.map(({ path, target }) => ({
      path,
      target: {
        ...target,
        objects: target.objects.map((object) => ({ ...object, category: renamed(object.category) })),
      },
    })),
  };
}
