import { InvalidArgumentError } from 'commander';

/** Parsers of option values; commander adds the option's name to what they say. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('A whole number from 1 is expected.');
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('A whole number from 0 is expected.');
}

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** `224` or `192x256` (height × width). */
export function pictureSize(text: string): Size {
  const match = /^(\d{1,5})(?:[x×](\d{1,5}))?$/.exec(text);
  const height = Number(match?.[1]);
  const width = Number(match?.[2] ?? match?.[1]);
  if (match && height > 0 && width > 0) return { height, width };
  throw new InvalidArgumentError('A size such as 224 or 192x256 (height × width) is expected.');
}

export function outputStride(text: string): 8 | 16 | 32 {
  for (const stride of [8, 16, 32] as const) if (text === String(stride)) return stride;
  throw new InvalidArgumentError('8, 16 or 32 is expected.');
}

/** A number of pixels, or `none` for no limit. */
export function pixelLimit(text: string): number {
  return text === 'none' ? Number.POSITIVE_INFINITY : positiveInteger(text);
}

/** `auto` or a number; how many there can be is for the engine to say. */
export function threadCount(text: string): number | 'auto' {
  return text === 'auto' ? text : positiveInteger(text);
}

export function seconds(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0 && value <= 86_400) return value;
  throw new InvalidArgumentError('A number of seconds above 0, at most a day, is expected.');
}

export function share(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value <= 1) return value;
  throw new InvalidArgumentError('A number from 0 to 1 is expected.');
}

/** Names with commas between. */
export function nameList(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => name !== '')) return names;
  throw new InvalidArgumentError('Names with commas between are expected.');
}
