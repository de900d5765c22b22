import { DataError } from '../../errors.ts';
import { IGNORE, type IndexMap } from '../../image/index-map.ts';

/**
 * Writes a class mask into row `image` of [N, H, W, classes], as `crossEntropy` takes it: a 1 for each pixel's class,
 * zeros for IGNORE. With weights it is the class's instead of 1: the loss is then the mean weighed by them.
 * @throws DataError for a number that is neither, or a row that is not there
 */
export function writeClassTargets(
  mask: IndexMap,
  classes: number,
  targets: Float32Array,
  image: number,
  weights?: readonly number[],
): void {
  const pixels = mask.width * mask.height;
  const from = image * pixels * classes;
  const end = from + pixels * classes;
  if (end > targets.length)
    throw new DataError(
      `class targets: picture ${image} of ${mask.width}×${mask.height} and ${classes} classes ends at ${end}, found ${targets.length} numbers.`,
    );
  targets.fill(0, from, end);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const index = mask.data[pixel] ?? IGNORE;
    if (index < classes) targets[from + pixel * classes + index] = weights?.[index] ?? 1;
    else if (index !== IGNORE)
      throw new DataError(
        `class targets: pixel ${pixel % mask.width}, ${Math.floor(pixel / mask.width)} has class ${index} of ${classes}; only ${IGNORE} is ignored.`,
      );
  }
}
