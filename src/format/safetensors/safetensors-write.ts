import { FormatError } from '../../errors.ts';
import { dtypeBytes } from '../../tensor/dtype.ts';
import { formatShape, type RawTensor } from '../../tensor/tensor.ts';
import { checkedCount } from '../checked-count.ts';
import { isSafetensorsDType, safetensorsNames } from './safetensors-dtypes.ts';

/**
 * One safetensors file. Tensors of wide dtypes come first, so that each is aligned to its width; inside a width
 * they keep the order given (the reference sorts by dtype, then name). The header is padded with spaces to
 * a multiple of 8 bytes. The same input gives the same bytes.
 * @throws FormatError when bytes, shape and dtype of a tensor disagree, or the format cannot say it
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, RawTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = [...tensors].sort(([, a], [, b]) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype]);
  const described: string[] = [];
  if (Object.keys(metadata).length > 0) described.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let end = 0;
  for (const [name, raw] of ordered) {
    const begin = end;
    end += raw.bytes.byteLength;
    described.push(`${JSON.stringify(name)}:${describe(name, raw, begin, end)}`);
  }
  const text = new TextEncoder().encode(`{${described.join(',')}}`);
  const headerBytes = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(text, 8);
  let at = 8 + headerBytes;
  for (const [, raw] of ordered) {
    file.set(raw.bytes, at);
    at += raw.bytes.byteLength;
  }
  return file;
}

function describe(name: string, raw: RawTensor, begin: number, end: number): string {
  const { dtype, shape } = raw;
  const where = `safetensors: tensor ${JSON.stringify(name)}`;
  if (name === '__metadata__')
    throw new FormatError(`${where}: this name is taken by the format; rename it.`);
  if (!isSafetensorsDType(dtype)) throw new FormatError(`${where}: the format has no dtype ${dtype}.`);
  const count = checkedCount(shape);
  if (count === undefined || count * dtypeBytes[dtype] !== end - begin) {
    throw new FormatError(`${where}: ${dtype} ${formatShape(shape)} does not fit ${end - begin} bytes.`);
  }
  return JSON.stringify({ dtype: safetensorsNames[dtype], shape, data_offsets: [begin, end] });
}
