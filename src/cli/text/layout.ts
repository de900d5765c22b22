/** Plain text that fits a width: columns, facts and paragraphs. Widths count terminal cells. */

const wide = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;
const zero = /[\p{Mark}\p{Cf}]/u;

const cellsOf = (character: string): number => (zero.test(character) ? 0 : wide.test(character) ? 2 : 1);

/** Terminal cells a text takes; control characters are expected to be gone. */
export function cells(text: string): number {
  let count = 0;
  for (const character of text) count += cellsOf(character);
  return count;
}

/** Control characters of names and metadata must not reach a terminal: shown as `\x1b`. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${(c.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`);
}

/** At most `width` cells, with `…` at the end of what was cut. */
export function truncate(text: string, width: number): string {
  if (cells(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += cellsOf(character);
    if (used > width - 1) break;
    kept += character;
  }
  return `${kept.trimEnd()}…`;
}

/** Lines of at most `width` cells, broken at spaces, all but the first indented; a longer word stands alone. */
export function wrap(text: string, width: number, indent = 0): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const margin = lines.length > 0 ? indent : 0;
    if (line !== '' && margin + cells(line) + 1 + cells(word) > width) {
      lines.push(' '.repeat(margin) + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(' '.repeat(lines.length > 0 ? indent : 0) + line);
  return lines;
}

export interface Column {
  /** Empty headings everywhere: no heading line. */
  readonly heading: string;
  readonly align?: 'left' | 'right';
  /** May be cut to this many cells when the width is small. */
  readonly least?: number;
}

const gap = 2;

/**
 * Rows under their headings. When they are wider than `width`, columns with `least` are cut; when that does not
 * suffice, each row becomes a few lines.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): readonly string[] {
  const headed = columns.some(({ heading }) => heading !== '');
  const all = headed ? [columns.map(({ heading }) => heading), ...rows] : rows;
  const natural = columns.map((_, i) => Math.max(0, ...all.map((row) => cells(row[i] ?? ''))));
  const fitted = fit(columns, natural, width);
  if (fitted === undefined) return rows.flatMap((row) => stacked(columns, row, width));
  return all.map((row) =>
    columns
      .map(({ align }, i) => pad(truncate(row[i] ?? '', fitted[i] ?? 0), fitted[i] ?? 0, align))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

function fit(
  columns: readonly Column[],
  natural: readonly number[],
  width: number,
): readonly number[] | undefined {
  const fitted = [...natural];
  let excess = natural.reduce((sum, one) => sum + one, gap * (columns.length - 1)) - width;
  for (const [i, { least }] of columns.entries()) {
    if (least === undefined || excess <= 0) continue;
    const cut = Math.min(excess, Math.max(0, (fitted[i] ?? 0) - least));
    fitted[i] = (fitted[i] ?? 0) - cut;
    excess -= cut;
  }
  return excess > 0 ? undefined : fitted;
}

/** The first cell on a line of its own, below it the others with their headings, as many on a line as fit. */
function stacked(columns: readonly Column[], row: readonly string[], width: number): readonly string[] {
  const [first = '', ...others] = row;
  const items = others.flatMap((cell, i) =>
    cell === '' ? [] : [`${columns[i + 1]?.heading ?? ''} ${cell}`.trim()],
  );
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    const joined = last === undefined ? item : `${last} · ${item}`;
    if (last !== undefined && cells(joined) <= width - gap) lines[lines.length - 1] = joined;
    else lines.push(...wrap(item, width - gap, gap));
  }
  return [truncate(first, width), ...lines.map((line) => `  ${line}`)];
}

function pad(text: string, width: number, align: Column['align'] = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - cells(text)));
  return align === 'left' ? text + space : space + text;
}

export type Fact = readonly [label: string, value: string];

/** `label  value`, values in one column and wrapped in it. */
export function facts(list: readonly Fact[], width: number): readonly string[] {
  const margin = Math.max(0, ...list.map(([label]) => cells(label))) + gap;
  return list.flatMap(([label, value]) =>
    wrap(value, Math.max(12, width - margin)).map((line, i) => pad(i === 0 ? label : '', margin) + line),
  );
}
