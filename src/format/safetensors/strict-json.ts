import { FormatError } from '../../errors.ts';

/** JSON with objects as maps (no prototype to shadow) and numbers as written (no rounding beyond 2^53). */
export type Json = null | boolean | string | JsonNumber | readonly Json[] | ReadonlyMap<string, Json>;

export interface JsonNumber {
  readonly number: string;
}

const maxDepth = 64;

/**
 * RFC 8259 without leniency: a duplicate key is an error, as are trailing characters.
 * @throws FormatError naming the position
 */
export function parseStrictJson(text: string): Json {
  let at = 0;

  const fail = (what: string): FormatError =>
    new FormatError(`invalid JSON at character ${at}: ${what}.`, { at });
  const token = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const space = (): void => {
    while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at++;
  };
  const take = (character: string): boolean => {
    space();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!take(character)) throw fail(`expected "${character}"`);
  };

  const string = (): string => {
    space();
    if (text[at] !== '"') throw fail('expected a string');
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    const quoted = text.slice(at, end + 1);
    try {
      const value = String(JSON.parse(quoted));
      at = end + 1;
      return value;
    } catch {
      throw fail('a string with a bad escape, a control character or no end');
    }
  };

  const members = (depth: number): ReadonlyMap<string, Json> => {
    const map = new Map<string, Json>();
    if (take('}')) return map;
    do {
      const key = string();
      if (map.has(key)) throw fail(`key ${JSON.stringify(key)} occurs twice`);
      expect(':');
      map.set(key, value(depth + 1));
    } while (take(','));
    expect('}');
    return map;
  };

  const items = (depth: number): readonly Json[] => {
    const list: Json[] = [];
    if (take(']')) return list;
    do list.push(value(depth + 1));
    while (take(','));
    expect(']');
    return list;
  };

  const value = (depth: number): Json => {
    if (depth > maxDepth) throw fail(`nested deeper than ${maxDepth}`);
    if (take('{')) return members(depth);
    if (take('[')) return items(depth);
    if (text[at] === '"') return string();
    const number = token(/-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?/y);
    if (number !== undefined) return { number };
    const word = token(/true|false|null/y);
    if (word === undefined) throw fail('expected a value');
    return word === 'null' ? null : word === 'true';
  };

  const result = value(0);
  space();
  if (at < text.length) throw fail('unexpected characters after the end');
  return result;
}

/** The integer in [0, 2^53) that `json` is, or undefined. */
export function jsonIndex(json: Json | undefined): number | undefined {
  if (json === null || typeof json !== 'object' || !('number' in json)) return undefined;
  const value = /^\d+$/.test(json.number) ? Number(json.number) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
