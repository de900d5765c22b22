import { open, stat } from 'node:fs/promises';
import { FormatError } from '../../errors.ts';
import { type ByteSource, checkRange } from '../../format/byte-source.ts';
import { cacheFault, codeOf } from './cache-fault.ts';

/**
 * A file on disk, opened for each read, so that there is nothing to close and no handle to leak. Undefined when
 * there is no file at `path`.
 * @throws HubError when it may not be read
 */
export async function findFile(path: string): Promise<ByteSource | undefined> {
  const found = await stat(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(codeOf(error))) return undefined;
    throw cacheFault('read', path, error);
  });
  if (!found?.isFile()) return undefined;
  const { size } = found;
  const source = { name: path, size };
  return {
    ...source,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      const handle = await open(path, 'r').catch((error: unknown) => {
        throw cacheFault('read', path, error);
      });
      try {
        return await readExactly(handle, path, offset, length);
      } finally {
        await handle.close();
      }
    },
  };
}

/** A file on disk that must be there. @throws FormatError when there is none; HubError when it may not be read */
export async function openFileSource(path: string): Promise<ByteSource> {
  const source = await findFile(path);
  if (source) return source;
  throw new FormatError(`"${path}" is not a file; give the path of one checkpoint file.`, { path });
}

/** `length` bytes from `offset`; a single read may give fewer. */
export async function readExactly(
  handle: Awaited<ReturnType<typeof open>>,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) {
      throw new FormatError(
        `${path}: ended at ${offset + done}, where ${offset + length} bytes were expected.`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}
