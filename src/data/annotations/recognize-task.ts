import type { DataFiles } from '../files.ts';
import { maskFiles } from './masks.ts';
import { baseName, isInMaskFolder } from './pictures.ts';

const decoder = new TextDecoder();

/**
 * What a folder is annotated for: `detect` where there are COCO, VOC or YOLO files, `segment` where there are masks of
 * classes; both where there are both, none where folders alone tell pictures apart.
 */
export async function annotatedTasks(files: DataFiles): Promise<readonly ('detect' | 'segment')[]> {
  const { files: paths } = await files.list();
  const holds = async (path: string, word: string): Promise<boolean> =>
    decoder.decode(await files.read(path)).includes(word);
  const first = async (ending: RegExp, word: string): Promise<boolean> => {
    for (const path of paths.filter((name) => ending.test(name)).slice(0, 8))
      if (await holds(path, word)) return true;
    return false;
  };
  const yolo = paths.some(
    (path) => /(^|\/)labels\/.+\.txt$/i.test(path) && !/classes\.txt$/i.test(baseName(path)),
  );
  const objects =
    yolo || (await first(/\.json$/i, '"annotations"')) || (await first(/\.xml$/i, '<annotation'));
  const masks = maskFiles(paths).some((path) => isInMaskFolder(path));
  return [...(objects ? (['detect'] as const) : []), ...(masks ? (['segment'] as const) : [])];
}
