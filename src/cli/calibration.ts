import { UsageError } from '../errors.ts';
import type { Image } from '../image/image.ts';
import { nodePlatform } from '../node.ts';
import { readPictureFile } from '../platform/node/read-picture.ts';
import { findPictures } from './picture-files.ts';

/** More say no more (scripts/bf16-agreement.ts). */
const mostPictures = 32;

/**
 * Pictures to calibrate bf16 with, taken evenly from a folder, glob or file.
 * @throws UsageError when there are none; ImageError for one that cannot be read
 */
export async function readCalibration(place: string): Promise<readonly Image[]> {
  const { files, faults } = await findPictures([place]);
  if (files.length === 0) throw new UsageError(`--calibrate: ${faults.join('; ')}.`);
  const count = Math.min(files.length, mostPictures);
  const chosen = Array.from({ length: count }, (_, i) => files[Math.floor((i * files.length) / count)] ?? '');
  const decoder = await nodePlatform().decoder();
  const pictures: Image[] = [];
  for (const name of chosen) pictures.push(await decoder.decode(await readPictureFile(name), { name }));
  return pictures;
}
