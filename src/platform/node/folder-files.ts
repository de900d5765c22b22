import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ClassSplits } from '../../data/dataset.ts';
import type { DataEntries, DataFiles } from '../../data/files.ts';
import type { ListOptions } from '../../data/list-file.ts';
import { openData } from '../../data/open-data.ts';
import { DataError } from '../../errors.ts';

/** A folder on disk. Links are followed, each folder once. */
export function folderFiles(root: string): DataFiles {
  const location = resolve(root);
  return {
    name: root,
    location,
    list: () => listFolder(root, location),
    read: async (path) => {
      try {
        return await readFile(join(location, path));
      } catch (cause) {
        throw new DataError(
          `file "${join(root, path)}" cannot be read: ${reason(cause)}.`,
          { path },
          { cause },
        );
      }
    },
  };
}

/** A data set on disk: a folder of class folders, or a list file. @throws DataError */
export async function openDataPath(path: string, options: ListOptions = {}): Promise<ClassSplits> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new DataError(
      `data "${path}": expected a folder of class folders or a list file, found none (${reason(cause)}).`,
      { path },
      { cause },
    );
  });
  if (found.isDirectory()) return openData(folderFiles(path), options);
  return openData(folderFiles(dirname(path)), { ...options, list: basename(path) });
}

async function listFolder(name: string, location: string): Promise<DataEntries> {
  const files: string[] = [];
  const folders: string[] = [];
  const seen = new Set<string>();
  const visit = async (inside: string): Promise<void> => {
    const here = join(location, inside);
    const real = await realpath(here);
    if (seen.has(real)) return;
    seen.add(real);
    for (const entry of await readdir(here, { withFileTypes: true })) {
      const path = inside === '' ? entry.name : `${inside}/${entry.name}`;
      // A link that leads nowhere is listed as a file, so that reading it says what is wrong.
      const kind = entry.isSymbolicLink() ? await stat(join(here, entry.name)).catch(() => entry) : entry;
      if (kind.isDirectory()) {
        folders.push(path);
        await visit(path);
      } else files.push(path);
    }
  };
  try {
    await visit('');
  } catch (cause) {
    throw new DataError(
      `data "${name}": the folder cannot be read: ${reason(cause)}.`,
      { path: name },
      { cause },
    );
  }
  return { files: files.sort(), folders: folders.sort() };
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
