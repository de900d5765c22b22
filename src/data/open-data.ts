import type { ClassSplits } from './dataset.ts';
import type { DataFiles } from './files.ts';
import { openImageFolder } from './image-folder.ts';
import { type ListOptions, openListFile } from './list-file.ts';

export interface OpenOptions extends ListOptions {
  /** Path of a list among the files; left out, class folders are looked for. */
  readonly list?: string;
}

/** A data set for classification: what `list` lists, or a folder of class folders. @throws DataError */
export function openData(files: DataFiles, options: OpenOptions = {}): Promise<ClassSplits> {
  return options.list === undefined
    ? openImageFolder(files, options)
    : openListFile(files, options.list, options);
}
