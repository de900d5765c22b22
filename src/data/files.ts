import { DataError } from '../errors.ts';

/** What a data set is made of. Paths are relative to its root and separated by `/` on every platform. */
export interface DataEntries {
  /** Every file at any depth, sorted. */
  readonly files: readonly string[];
  /** Every folder at any depth, empty ones too, sorted. */
  readonly folders: readonly string[];
}

/** Where files come from: a folder on disk, files dropped on a page, bytes in memory. */
export interface DataFiles {
  /** The root as the user knows it; errors name it. */
  readonly name: string;
  /** Where worker threads of this platform find the same files; left out, they are sent the bytes. */
  readonly location?: string;
  readonly list: () => Promise<DataEntries>;
  /** @throws DataError when there is no such file, or it cannot be read */
  readonly read: (path: string) => Promise<Uint8Array>;
}

/** Files in memory, by path. A path that ends in `/` is an empty folder. */
export function memoryFiles(name: string, contents: ReadonlyMap<string, Uint8Array>): DataFiles {
  const paths = [...contents.keys()];
  const files = paths.filter((path) => !path.endsWith('/')).sort();
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
  }
  return {
    name,
    list: async () => ({ files, folders: [...folders].sort() }),
    read: async (path) => {
      const bytes = contents.get(path);
      if (bytes) return bytes;
      throw new DataError(`data "${name}": there is no file "${path}" among its ${files.length}.`, { path });
    },
  };
}
