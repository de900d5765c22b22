import { FormatError } from '../../errors.ts';
import { decimalInteger, line, lineBytes, type PickleCursor, uint8 } from './pickle-cursor.ts';

// Operands that protocol 0 writes as text.

function noOperand(c: PickleCursor, what: string): FormatError {
  return new FormatError(`the pickle should have ${what} before byte ${c.at}; the file is damaged.`);
}

/** `00` and `01` are false and true. */
export function textInteger(c: PickleCursor): boolean | number | bigint {
  const isBoolean = c.bytes[c.at] === 0x30 && c.bytes[c.at + 2] === 10 && uint8(c) === 0x30;
  const value = decimalInteger(c);
  return isBoolean ? value === 1 : value;
}

export function textFloat(c: PickleCursor): number {
  const text = line(c);
  const named = new Map([
    ['inf', Number.POSITIVE_INFINITY],
    ['-inf', Number.NEGATIVE_INFINITY],
    ['nan', Number.NaN],
  ]).get(text);
  if (named !== undefined) return named;
  if (!/^[+-]?[\d.]{1,40}(?:e[+-]?\d{1,4})?$/.test(text) || Number.isNaN(Number(text))) {
    throw noOperand(c, 'a number');
  }
  return Number(text);
}

const simpleEscapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/** A quoted Python 2 string as protocol 0 writes it. */
export function quotedText(c: PickleCursor): string {
  const text = line(c);
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote)) {
    throw noOperand(c, 'a quoted text');
  }
  return text
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, other: string | undefined) =>
      hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (simpleEscapes[other ?? ''] ?? other ?? ''),
    );
}

/** Protocol 0 text: Latin-1, where `\uXXXX` and `\UXXXXXXXX` stand for other characters. */
export function escapedText(c: PickleCursor): string {
  const latin1 = Array.from(lineBytes(c), (byte) => String.fromCharCode(byte)).join('');
  return latin1.replace(/\\u([0-9a-fA-F]{4})|\\U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})/g, (_, short, long) =>
    String.fromCodePoint(Number.parseInt(short ?? long, 16)),
  );
}
