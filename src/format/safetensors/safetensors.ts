import { FormatError } from '../../errors.ts';
import { type DType, dtypeBytes } from '../../tensor/dtype.ts';
import { formatShape, type Shape } from '../../tensor/tensor.ts';
import type { ByteSource } from '../byte-source.ts';
import { checkedCount } from '../checked-count.ts';
import type { Checkpoint, LazyTensor } from '../checkpoint.ts';
import { safetensorsDTypes } from './safetensors-dtypes.ts';
import { type Json, jsonIndex, parseStrictJson } from './strict-json.ts';

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000;

interface Span {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads the header of a safetensors file: u64 header length, JSON header, then tensor bytes without holes.
 * Offsets need not be aligned. Stricter than the reference in one thing: a duplicate name is always refused.
 * @throws FormatError where the reference refuses, and for dtypes of less than a byte
 * @see https://github.com/huggingface/safetensors
 */
export async function readSafetensors(source: ByteSource): Promise<Checkpoint> {
  const where = `safetensors "${source.name}"`;
  const { header, dataStart } = await readHeader(source, where);
  const metadata = readMetadata(header.get('__metadata__'), where);
  const spans: Span[] = [];
  for (const [name, info] of header) if (name !== '__metadata__') spans.push(readSpan(name, info, where));
  checkCoverage(spans, source.size - dataStart, where);
  const tensors = new Map<string, LazyTensor>();
  for (const { name, dtype, shape, begin, end } of spans) {
    const read = async () => ({ dtype, shape, bytes: await source.read(dataStart + begin, end - begin) });
    tensors.set(name, { name, dtype, shape, read });
  }
  const extra = { weightsAt: '', strippedPrefix: '', others: new Map<string, string>() };
  return { container: 'safetensors', tensors, metadata, extra };
}

async function readHeader(source: ByteSource, where: string) {
  if (source.size < 8) {
    throw new FormatError(
      `${where}: a file starts with 8 bytes of header length, this one has ${source.size} in all.`,
    );
  }
  const prefix = await source.read(0, 8);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes) || length > BigInt(source.size - 8)) {
    throw new FormatError(
      `${where}: the header says it has ${length} bytes, but the file has ${source.size - 8} after its length and ${maxHeaderBytes} is the limit.`,
      { headerBytes: String(length), size: source.size },
    );
  }
  const dataStart = 8 + Number(length);
  const bytes = await source.read(8, Number(length));
  let header: Json;
  try {
    header = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    const reason = cause instanceof FormatError ? cause.message : 'it is not UTF-8.';
    throw new FormatError(`${where}: the header cannot be read: ${reason}`, {}, { cause });
  }
  if (!(header instanceof Map)) throw new FormatError(`${where}: the header must be a JSON object.`);
  return { header, dataStart };
}

function readMetadata(json: Json | undefined, where: string): Readonly<Record<string, string>> {
  if (json === undefined) return {};
  if (!(json instanceof Map)) throw new FormatError(`${where}: __metadata__ must be an object of strings.`);
  const entries: [string, string][] = [];
  for (const [key, value] of json) {
    if (typeof value !== 'string') {
      throw new FormatError(`${where}: __metadata__ ${JSON.stringify(key)} must be a string.`);
    }
    entries.push([key, value]);
  }
  return Object.fromEntries(entries);
}

function readSpan(name: string, info: Json, where: string): Span {
  const fail = (what: string): FormatError =>
    new FormatError(`${where}: tensor ${JSON.stringify(name)} ${what}.`, { tensor: name });
  if (!(info instanceof Map)) throw fail('must be described by an object');
  const dtypeName = info.get('dtype');
  const dtype = typeof dtypeName === 'string' ? safetensorsDTypes.get(dtypeName) : undefined;
  if (!dtype) {
    throw fail(
      `has dtype ${JSON.stringify(dtypeName)}, known are ${[...safetensorsDTypes.keys()].join(', ')}`,
    );
  }
  const shape = readIndices(info.get('shape'));
  if (!shape) throw fail('needs a "shape" of whole numbers from 0 to 2^53');
  const [begin, end, ...rest] = readIndices(info.get('data_offsets')) ?? [];
  if (begin === undefined || end === undefined || rest.length > 0 || end < begin) {
    throw fail('needs "data_offsets" [begin, end] with begin <= end');
  }
  const count = checkedCount(shape);
  if (count === undefined || count * dtypeBytes[dtype] !== end - begin) {
    const needed = count === undefined ? 'more than 2^53' : count * dtypeBytes[dtype];
    throw fail(
      `${dtypeName} ${formatShape(shape)} needs ${needed} bytes, but data_offsets [${begin},${end}] gives ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function readIndices(json: Json | undefined): number[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const indices: number[] = [];
  for (const item of json) {
    const index = jsonIndex(item);
    if (index === undefined) return undefined;
    indices.push(index);
  }
  return indices;
}

/** The tensors, sorted, must follow one another and fill the data exactly: no hole, overlap, rest or lack. */
function checkCoverage(spans: readonly Span[], dataBytes: number, where: string): void {
  let expected = 0;
  for (const span of [...spans].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (span.begin !== expected) {
      throw new FormatError(
        `${where}: tensor ${JSON.stringify(span.name)} must begin at byte ${expected} of the data, but begins at ${span.begin} (${span.begin < expected ? 'overlap' : 'hole'}).`,
        { tensor: span.name, expected, found: span.begin },
      );
    }
    expected = span.end;
  }
  if (expected !== dataBytes) {
    throw new FormatError(
      `${where}: the tensors fill ${expected} bytes, but the file has ${dataBytes} of data; it is cut off or damaged.`,
      { expected, found: dataBytes },
    );
  }
}
