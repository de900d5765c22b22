import { readClassMask } from '../../data/annotations/read-joint.ts';
import { DataError } from '../../errors.ts';
import type { IndexMap } from '../../image/index-map.ts';
import type { JointData } from './joint-data.ts';

/** The class mask of a validation picture. @throws DataError when it has none */
export async function truthOf(
  { validation }: Pick<JointData, 'validation'>,
  index: number,
): Promise<IndexMap> {
  const target = validation?.samples[index]?.target;
  if (validation === undefined || target?.classMask === undefined)
    throw new DataError(`segmentation: validation picture ${index} has no class mask.`);
  const bytes = await validation.files.read(target.classMask);
  return readClassMask(bytes, validation.coding, target.size, target.classMask);
}
