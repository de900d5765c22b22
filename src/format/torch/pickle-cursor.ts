import { FormatError } from '../../errors.ts';

/** Reads the operands of a pickle: every read is checked against the end of the bytes. */
export interface PickleCursor {
  /** Next byte to read. */
  at: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function pickleCursor(bytes: Uint8Array): PickleCursor {
  return { at: 0, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Moves over `length` bytes and gives where they began. @throws FormatError when fewer are left */
function skip(cursor: PickleCursor, length: number): number {
  const start = cursor.at;
  if (!(length >= 0 && start + length <= cursor.bytes.byteLength)) throw pickleEnds(cursor);
  cursor.at = start + length;
  return start;
}

/** `details.reason` tells a reader that has read only the start of a file to read on. */
function pickleEnds(cursor: PickleCursor): FormatError {
  return new FormatError(
    `the pickle ends at byte ${cursor.bytes.byteLength} in the middle of an instruction; the file is cut off or damaged.`,
    { reason: 'pickle-ends' },
  );
}

export function isPickleEnd(error: unknown): boolean {
  return error instanceof FormatError && error.details.reason === 'pickle-ends';
}

export const uint8 = (c: PickleCursor): number => c.view.getUint8(skip(c, 1));
export const uint16 = (c: PickleCursor): number => c.view.getUint16(skip(c, 2), true);
export const uint32 = (c: PickleCursor): number => c.view.getUint32(skip(c, 4), true);
export const int32 = (c: PickleCursor): number => c.view.getInt32(skip(c, 4), true);
/** A length of 2^53 or more loses digits, but is beyond any file either way. */
export const uint64 = (c: PickleCursor): number => Number(c.view.getBigUint64(skip(c, 8), true));
export const float64 = (c: PickleCursor): number => c.view.getFloat64(skip(c, 8), false);

export function take(cursor: PickleCursor, length: number): Uint8Array {
  const start = skip(cursor, length);
  return cursor.bytes.subarray(start, start + length);
}

export function utf8(cursor: PickleCursor, length: number): string {
  return checkedText(cursor, take(cursor, length));
}

function checkedText(cursor: PickleCursor, bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (text !== undefined) return text;
  throw new FormatError(`the pickle has text before byte ${cursor.at} that is not UTF-8.`);
}

/** Python 2 text: UTF-8 where it is, otherwise bytes. */
export function bytesOrText(cursor: PickleCursor, length: number): string | Uint8Array {
  const bytes = take(cursor, length);
  return decodeUtf8(bytes) ?? bytes;
}

/** An operand of protocol 0: the bytes up to a newline, which is taken too. */
export function lineBytes(cursor: PickleCursor): Uint8Array {
  const end = cursor.bytes.indexOf(10, cursor.at);
  if (end < 0) throw pickleEnds(cursor);
  return take(cursor, end + 1 - cursor.at).subarray(0, -1);
}

export function line(cursor: PickleCursor): string {
  return checkedText(cursor, lineBytes(cursor));
}

const maxLongBytes = 1024;

/** A little-endian two's complement integer of any length; a number where it is exact. */
export function longInteger(cursor: PickleCursor, length: number): number | bigint {
  if (length > maxLongBytes) {
    throw new FormatError(
      `the pickle has an integer of ${length} bytes at byte ${cursor.at}, the limit is ${maxLongBytes}.`,
    );
  }
  let value = 0n;
  const bytes = take(cursor, length);
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return shrink(BigInt.asIntN(8 * length, value));
}

/** A decimal integer as protocol 0 writes it, `12` or `12L`. */
export function decimalInteger(cursor: PickleCursor): number | bigint {
  const text = line(cursor);
  if (text.length > maxLongBytes || !/^[+-]?\d+L?$/.test(text)) {
    throw new FormatError(`the pickle has no integer at byte ${cursor.at}, where there must be one.`);
  }
  return shrink(BigInt(text.replace(/^\+|L$/g, '')));
}

function shrink(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
