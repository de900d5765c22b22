import { FormatError } from '../../errors.ts';
import { dtypeBytes } from '../../tensor/dtype.ts';
import type { ByteSource } from '../byte-source.ts';
import { checkedCount } from '../checked-count.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { type PickleHooks, readPickle } from './pickle.ts';
import { isPickleEnd, type PickleCursor, pickleCursor } from './pickle-cursor.ts';
import { describeValue, isNode, type PickleValue, type StorageValue } from './pickle-value.ts';
import { locate, torchCheckpoint } from './torch-checkpoint.ts';
import { type StorageId, torchHooks } from './torch-pickle.ts';

const magic = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;
const firstWindowBytes = 1 << 20;

interface Declared {
  readonly byteLength: number;
  readonly width: number;
}

interface Parsed {
  readonly root: PickleValue;
  readonly keys: PickleValue;
  /** The storages the pickle refers to, by key. */
  readonly declared: ReadonlyMap<string, Declared>;
  /** Where the pickles end and the storages begin. */
  readonly end: number;
}

/**
 * Reads what torch.save wrote before PyTorch 1.6, and writes still when asked: five pickles (magic number,
 * version, machine, contents, storage keys), then for every key a u64 element count and the elements.
 * The format has no checksum.
 * @throws FormatError when the file is damaged, cut off, of a big-endian machine or of something else
 */
export async function readTorchLegacy(source: ByteSource): Promise<Checkpoint> {
  const where = `torch file "${source.name}"`;
  const { root, keys, declared, end } = await readPickles(source, where);
  const offsets = await findStorages(source, end, keys, declared, where);
  const storage = (key: string) => async (offset: number, length: number) => {
    const start = offsets.get(key);
    if (start === undefined) throw new FormatError(`storage "${key}" is not in the file.`);
    return source.read(start + offset, length);
  };
  return torchCheckpoint({ where, container: 'torch-legacy', bigEndian: false, storage }, root);
}

/** The pickles' length is written nowhere: reads a part of the file, and four times more whenever they pass it. */
async function readPickles(source: ByteSource, where: string): Promise<Parsed> {
  for (let length = Math.min(firstWindowBytes, source.size); ; length = Math.min(4 * length, source.size)) {
    const bytes = await source.read(0, length);
    try {
      return parsePickles(pickleCursor(bytes));
    } catch (error) {
      if (isPickleEnd(error) && length < source.size) continue;
      return locate(where, () => {
        throw error;
      });
    }
  }
}

const nothing: PickleHooks = {
  global: (name) => ({ kind: 'global', name }),
  call: (callee) => {
    throw new FormatError(`the file's preamble calls ${describeValue(callee)}, which torch.save never does.`);
  },
  persistent: () => {
    throw new FormatError("the file's preamble refers to storages, which torch.save never does.");
  },
};

function parsePickles(cursor: PickleCursor): Parsed {
  const found = readPickle(cursor, nothing);
  if (found !== magic) {
    throw new FormatError(`a torch.save file starts with a magic number, found ${describeValue(found)}.`);
  }
  const version = readPickle(cursor, nothing);
  if (version !== protocolVersion) {
    throw new FormatError(`only version ${protocolVersion} is known, found ${describeValue(version)}.`);
  }
  const machine = readPickle(cursor, nothing);
  if (isNode(machine) && machine.kind === 'dict' && machine.entries.get('little_endian') === false) {
    throw new FormatError(
      'was saved on a big-endian machine; load and save it again with PyTorch 1.6 or later.',
    );
  }
  const declared = new Map<string, Declared>();
  const root = readPickle(cursor, torchHooks(storageLoader(declared)));
  return { root, keys: readPickle(cursor, nothing), declared, end: cursor.at };
}

function storageLoader(declared: Map<string, Declared>) {
  return (id: StorageId): StorageValue => {
    const { key, dtype, className, byteLength, width } = id;
    const before = declared.get(key);
    if (before && before.byteLength !== byteLength) {
      throw new FormatError(
        `storage "${key}" has ${before.byteLength} bytes in one place, ${byteLength} in another.`,
      );
    }
    declared.set(key, { byteLength, width });
    const part = viewRange(id);
    return { kind: 'storage', key, dtype, className, ...part };
  };
}

/** A storage may be a part of the one written, given as (view key, first element, elements). */
function viewRange({ view, byteLength, width, key }: StorageId) {
  if (view === null) return { byteOffset: 0, byteLength };
  const [, first, count] = isNode(view) && view.kind === 'tuple' ? view.items : [];
  const sound = typeof first === 'number' && typeof count === 'number' && checkedCount([first]) !== undefined;
  if (!sound || checkedCount([count]) === undefined || (first + count) * width > byteLength) {
    throw new FormatError(`storage "${key}" of ${byteLength} bytes has no part ${describeValue(view)}.`);
  }
  return { byteOffset: first * width, byteLength: count * width };
}

/** Byte offset of every storage's first element; the counts in the file must be those of the pickle. */
async function findStorages(
  source: ByteSource,
  start: number,
  keys: PickleValue,
  declared: ReadonlyMap<string, Declared>,
  where: string,
): Promise<ReadonlyMap<string, number>> {
  if (!isNode(keys) || keys.kind !== 'list') {
    throw new FormatError(`${where}: a list of storage keys was expected, found ${describeValue(keys)}.`);
  }
  const offsets = new Map<string, number>();
  let at = start;
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? declared.get(key) : undefined;
    if (typeof key !== 'string' || !storage || offsets.has(key)) {
      throw new FormatError(`${where}: storage ${describeValue(key)} is listed twice or never used.`);
    }
    const header = await source.read(at, dtypeBytes.i64);
    const count = new DataView(header.buffer, header.byteOffset, 8).getBigUint64(0, true);
    if (count * BigInt(storage.width) !== BigInt(storage.byteLength)) {
      throw new FormatError(
        `${where}: storage "${key}" should have ${storage.byteLength / storage.width} elements, but ${count} are announced at byte ${at}; the file is damaged.`,
      );
    }
    offsets.set(key, at + 8);
    at += 8 + storage.byteLength;
    if (at > source.size) {
      throw new FormatError(
        `${where}: storage "${key}" ends at byte ${at}, but the file at ${source.size}; it is cut off.`,
      );
    }
  }
  for (const key of declared.keys()) {
    if (!offsets.has(key)) throw new FormatError(`${where}: storage "${key}" is used but not in the file.`);
  }
  return offsets;
}
