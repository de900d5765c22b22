import { FormatError } from '../../errors.ts';
import type { ByteSource } from '../byte-source.ts';
import type { Checkpoint, ReadOptions } from '../checkpoint.ts';
import { readPickle } from './pickle.ts';
import { pickleCursor } from './pickle-cursor.ts';
import { locate, torchCheckpoint } from './torch-checkpoint.ts';
import { type StorageId, torchHooks } from './torch-pickle.ts';
import { readZipDirectory, type ZipEntry } from './zip-directory.ts';
import { openZipEntry, type ZipEntryReader } from './zip-entry.ts';

/**
 * Reads what torch.save writes since PyTorch 1.6: a zip of `NAME/data.pkl`, one `NAME/data/KEY` for every
 * storage and `NAME/byteorder`. Opening reads the directory and the pickle; tensors are read in place later.
 * @throws FormatError when the archive is damaged, incomplete or of something else
 */
export async function readTorchZip(source: ByteSource, options: ReadOptions = {}): Promise<Checkpoint> {
  const where = `torch zip "${source.name}"`;
  const verify = options.checksums !== 'ignore';
  const directory = await readZipDirectory(source);
  const prefix = findPrefix(directory, where);
  const open = (name: string): ZipEntryReader | undefined => {
    const entry = directory.get(prefix + name);
    return entry && openZipEntry(source, entry, verify);
  };

  const readers = new Map<string, ZipEntryReader>();
  const load = (id: StorageId) => {
    const reader = readers.get(id.key) ?? open(`data/${id.key}`);
    if (!reader || reader.size < id.byteLength) {
      throw new FormatError(
        `storage "${id.key}" needs ${id.byteLength} bytes in ${prefix}data/${id.key}, which ${reader ? `has ${reader.size}` : 'is missing'}; the file is incomplete.`,
        { storage: id.key },
      );
    }
    readers.set(id.key, reader);
    const { key, dtype, className, byteLength } = id;
    return { kind: 'storage', key, dtype, className, byteLength, byteOffset: 0 } as const;
  };
  const pickle = await readAll(open('data.pkl'));
  const root = locate(where, () => readPickle(pickleCursor(pickle), torchHooks(load)));
  const bigEndian = await isBigEndian(open('byteorder'), where);
  const storage = (key: string) => async (offset: number, length: number) => {
    const reader = readers.get(key);
    if (!reader) throw new FormatError(`storage "${key}" was never opened.`);
    return reader.read(offset, length);
  };
  return torchCheckpoint({ where, container: 'torch-zip', bigEndian, storage }, root);
}

/** Everything lies in one folder, which has the name the file had when it was saved. */
function findPrefix(directory: ReadonlyMap<string, ZipEntry>, where: string): string {
  const pickles = [...directory.keys()].filter((name) => /^(?:[^/]*\/)?data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    const names = [...directory.keys()].slice(0, 5).join(', ');
    throw new FormatError(
      `${where}: a file of torch.save has one data.pkl in one folder; this archive has ${pickles.length} (${directory.size} entries: ${names}${directory.size > 5 ? ', …' : ''}).`,
    );
  }
  const prefix = pickle.slice(0, -'data.pkl'.length);
  if (directory.has(`${prefix}constants.pkl`)) {
    throw new FormatError(
      `${where}: is a TorchScript program, not a state dict; save the state_dict() of the model it was made of.`,
    );
  }
  return prefix;
}

async function readAll(reader: ZipEntryReader | undefined): Promise<Uint8Array> {
  return reader ? reader.read(0, reader.size) : new Uint8Array(0);
}

async function isBigEndian(reader: ZipEntryReader | undefined, where: string): Promise<boolean> {
  const order =
    reader && reader.size < 16 ? new TextDecoder().decode(await readAll(reader)).trim() : 'little';
  if (order !== 'little' && order !== 'big') {
    throw new FormatError(`${where}: byteorder must be "little" or "big", found ${JSON.stringify(order)}.`);
  }
  return order === 'big';
}
