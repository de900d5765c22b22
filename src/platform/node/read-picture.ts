import { readFile } from 'node:fs/promises';
import { ImageError } from '../../errors.ts';

/** @throws ImageError naming the path and the system's reason */
export async function readPictureFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError(`picture "${path}" cannot be read: ${reason}.`, { path }, { cause });
  }
}
