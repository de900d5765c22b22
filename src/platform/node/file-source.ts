import { type FileHandle, open } from 'node:fs/promises';
import { FormatError } from '../../errors.ts';
import { type ByteSource, checkRange } from '../../format/byte-source.ts';

export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/**
 * Opens a file for random access; nothing is read yet. The caller closes it.
 * @throws FormatError when the path is no readable file, or its bytes are gone when read
 */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await openHandle(path);
  const { size } = await handle.stat();
  const source = { name: path, size };
  return {
    ...source,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      return readFully(handle, path, offset, length);
    },
    close: () => handle.close(),
  };
}

async function openHandle(path: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
  } catch (cause) {
    await handle?.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`"${path}" cannot be opened: ${reason}.`, { path }, { cause });
  }
  await handle.close();
  throw new FormatError(`"${path}" is not a file; give the path of one checkpoint file.`, { path });
}

/** A read may return fewer bytes than asked for; only the end of the file ends the loop early. */
async function readFully(handle: FileHandle, path: string, offset: number, length: number) {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) {
      throw new FormatError(
        `"${path}": ${length} bytes at offset ${offset} were there when it was opened, now only ${done}.`,
        { offset, length, done },
      );
    }
    done += bytesRead;
  }
  return bytes;
}
