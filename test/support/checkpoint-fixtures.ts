// Writers of small PyTorch files for reader tests: what torch.save writes, and what it never would.
import { deflateRawSync } from 'node:zlib';
import { crc32 } from '../../src/format/torch/crc32.ts';

/** What a fixture pickle holds. Arrays are lists, maps are dicts. */
export type PickleInput =
  | null
  | boolean
  | number
  | string
  | readonly PickleInput[]
  | ReadonlyMap<PickleInput, PickleInput>
  | { readonly tuple: readonly PickleInput[] }
  | { readonly global: string }
  | { readonly call: string; readonly args: readonly PickleInput[] }
  | { readonly object: string; readonly state: PickleInput }
  | { readonly persistent: readonly PickleInput[] };

const utf8 = new TextEncoder();

export function joinBytes(...parts: (Uint8Array | readonly number[] | string)[]): Uint8Array {
  const arrays = parts.map((part) => (typeof part === 'string' ? utf8.encode(part) : Uint8Array.from(part)));
  const joined = new Uint8Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    joined.set(array, at);
    at += array.length;
  }
  return joined;
}

export function little(value: number | bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
}

/** One pickle in protocol 2, without memo. A global is `module name`. */
export function pickle(value: PickleInput): Uint8Array {
  return joinBytes([0x80, 2], encode(value), '.');
}

function encode(value: PickleInput): Uint8Array {
  if (value === null) return joinBytes('N');
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0x88 : 0x89);
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value === 'string') return encodeText(value);
  if (Array.isArray(value)) return joinBytes(']', '(', ...value.map(encode), 'e');
  if (value instanceof Map) {
    return joinBytes('}', '(', ...[...value].flatMap(([key, item]) => [encode(key), encode(item)]), 'u');
  }
  if ('tuple' in value) return encodeTuple(value.tuple);
  if ('global' in value) return joinBytes('c', value.global.replace(' ', '\n'), '\n');
  if ('call' in value) return joinBytes(encode({ global: value.call }), encodeTuple(value.args), 'R');
  if ('persistent' in value) return joinBytes(encodeTuple(value.persistent), 'Q');
  if ('object' in value) {
    return joinBytes(encode({ global: value.object }), ')', [0x81], encode(value.state), 'b');
  }
  throw new TypeError('no pickle input');
}

function encodeTuple(items: readonly PickleInput[]): Uint8Array {
  return joinBytes('(', ...items.map(encode), 't');
}

function encodeNumber(value: number): Uint8Array {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
    return joinBytes('J', little(value & 0xffffffff, 4));
  }
  if (Number.isSafeInteger(value)) return joinBytes([0x8a, 8], little(value, 8));
  const bytes = new Uint8Array(9);
  bytes[0] = 0x47;
  new DataView(bytes.buffer).setFloat64(1, value);
  return bytes;
}

function encodeText(text: string): Uint8Array {
  const bytes = utf8.encode(text);
  return joinBytes('X', little(bytes.length, 4), bytes);
}

export interface TensorFixture {
  readonly key: string;
  readonly shape: readonly number[];
  readonly stride?: readonly number[];
  readonly offset?: number;
  /** Elements of the storage; by default what the shape needs. */
  readonly elements?: number;
  readonly storage?: string;
}

/** `torch._utils._rebuild_tensor_v2` of a storage, as torch.save writes a tensor. */
export function tensorInput(fixture: TensorFixture): PickleInput {
  const { key, shape, stride = contiguous(shape), offset = 0, storage = 'torch FloatStorage' } = fixture;
  const elements = fixture.elements ?? shape.reduce((product, dim) => product * dim, 1);
  const persistent = ['storage', { global: storage }, key, 'cpu', elements];
  const hooks = { call: 'collections OrderedDict', args: [] };
  return {
    call: 'torch._utils _rebuild_tensor_v2',
    args: [{ persistent }, offset, { tuple: shape }, { tuple: stride }, false, hooks],
  };
}

export function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, i) => shape.slice(i + 1).reduce((product, dim) => product * dim, 1));
}

export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

export interface ZipFixtureEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly deflate?: boolean;
  readonly crc?: number;
  /** Claimed sizes and offset in 64-bit fields. */
  readonly zip64?: boolean;
  readonly claimedSize?: number;
}

/** A zip archive; with `zip64` its end record too. */
export function zip(
  entries: readonly ZipFixtureEntry[],
  options: { zip64?: boolean; comment?: string } = {},
) {
  const locals: Uint8Array[] = [];
  const centrals: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = utf8.encode(entry.name);
    const data = entry.deflate ? Uint8Array.from(deflateRawSync(entry.bytes)) : entry.bytes;
    const size = entry.claimedSize ?? entry.bytes.length;
    const head = joinBytes(
      little(entry.deflate ? 8 : 0, 2),
      little(0, 4),
      little(entry.crc ?? crc32(entry.bytes), 4),
    );
    const sizes = (wide: boolean) =>
      wide ? little(0xffffffffffffffffn, 8) : joinBytes(little(data.length, 4), little(size, 4));
    const extra = entry.zip64
      ? joinBytes(little(1, 2), little(24, 2), little(size, 8), little(data.length, 8), little(offset, 8))
      : Uint8Array.of();
    const local = joinBytes(
      'PK\x03\x04',
      little(0, 4),
      head,
      sizes(false),
      little(name.length, 2),
      little(5, 2),
      name,
      'extra',
      data,
    );
    centrals.push(
      joinBytes(
        'PK\x01\x02',
        little(0, 6),
        head,
        sizes(entry.zip64 ?? false),
        little(name.length, 2),
        little(extra.length, 2),
        little(0, 10),
        little(entry.zip64 ? 0xffffffff : offset, 4),
        name,
        extra,
      ),
    );
    locals.push(local);
    offset += local.length;
  }
  const directory = joinBytes(...centrals);
  return joinBytes(...locals, directory, endRecords(entries.length, directory.length, offset, options));
}

function endRecords(
  count: number,
  size: number,
  offset: number,
  { zip64 = false, comment = '' }: { zip64?: boolean; comment?: string },
) {
  const wide = joinBytes(
    joinBytes('PK\x06\x06', little(44, 8), little(0, 12), little(count, 8), little(count, 8)),
    joinBytes(little(size, 8), little(offset, 8)),
    joinBytes('PK\x06\x07', little(0, 4), little(offset + size, 8), little(1, 4)),
  );
  const end = joinBytes(
    'PK\x05\x06',
    little(0, 4),
    zip64 ? little(0xffffffff, 4) : joinBytes(little(count, 2), little(count, 2)),
    zip64 ? little(0xffffffffffffffffn, 8) : joinBytes(little(size, 4), little(offset, 4)),
    little(comment.length, 2),
    comment,
  );
  return zip64 ? joinBytes(wide, end) : end;
}

type Storages = Readonly<Record<string, Uint8Array>>;

/** What torch.save writes since PyTorch 1.6. */
export function torchZip(
  root: PickleInput | Uint8Array,
  storages: Storages,
  options: { byteorder?: string; deflate?: boolean; zip64?: boolean; comment?: string } = {},
): Uint8Array {
  const entry = (name: string, bytes: Uint8Array): ZipFixtureEntry => ({
    name: `archive/${name}`,
    bytes,
    deflate: options.deflate ?? false,
    zip64: options.zip64 ?? false,
  });
  const entries = [
    entry('data.pkl', root instanceof Uint8Array ? root : pickle(root)),
    entry('byteorder', utf8.encode(options.byteorder ?? 'little')),
    ...Object.entries(storages).map(([key, bytes]) => entry(`data/${key}`, bytes)),
    entry('version', utf8.encode('3\n')),
  ];
  return zip(entries, options);
}

const magic = joinBytes([0x80, 2, 0x8a, 10], little(0x1950a86a20f9469cfc6cn, 10), '.');

/** What torch.save wrote before PyTorch 1.6. */
export function torchLegacy(
  root: PickleInput,
  storages: Readonly<Record<string, { bytes: Uint8Array; elements: number }>>,
  littleEndian = true,
): Uint8Array {
  const system = new Map<PickleInput, PickleInput>([
    ['protocol_version', 1001],
    ['little_endian', littleEndian],
  ]);
  const data = Object.values(storages).flatMap(({ bytes, elements }) => [little(elements, 8), bytes]);
  return joinBytes(magic, pickle(1001), pickle(system), pickle(root), pickle(Object.keys(storages)), ...data);
}
