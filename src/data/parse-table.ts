import { DataError } from '../errors.ts';

export interface TableRow {
  /** Line of the file the row starts at, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/**
 * Rows of a text table: cells between commas, semicolons or tabs, whichever the first line has (or, with none of
 * these, one cell up to the last space and one after it). Quotes as in RFC 4180; empty lines and lines that start
 * with `#` are left out.
 * @throws DataError when a quote is never closed
 */
export function parseTable(text: string, where: string): TableRow[] {
  const content = text.replace(/^\ufeff/, '');
  const firstLine = content.split(/\r?\n/).find((line) => line.trim() !== '' && !line.startsWith('#')) ?? '';
  const separator = [',', ';', '\t'].find((mark) => firstLine.includes(mark));
  if (separator === undefined) return spacedRows(content);
  const rows: TableRow[] = [];
  let line = 1;
  for (let at = 0; at < content.length; ) {
    const row = quotedRow(content, at, separator);
    if (!row) throw new DataError(`${where} line ${line}: a quote is opened and never closed.`, { line });
    const [first = ''] = row.cells;
    const isEmpty = row.cells.every((cell) => cell.trim() === '');
    if (!isEmpty && !first.startsWith('#')) rows.push({ line, cells: row.cells });
    line += content.slice(at, row.end).split('\n').length - 1;
    at = row.end;
  }
  return rows;
}

function spacedRows(content: string): TableRow[] {
  return content.split(/\r?\n/).flatMap((text, index) => {
    const trimmed = text.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const space = trimmed.search(/\s+\S+$/);
    const cells = space < 0 ? [trimmed] : [trimmed.slice(0, space), trimmed.slice(space).trim()];
    return [{ line: index + 1, cells }];
  });
}

/** The row that starts at `from`, and where the next one does. Undefined when a quote stays open. */
function quotedRow(
  content: string,
  from: number,
  separator: string,
): { cells: string[]; end: number } | undefined {
  const cells: string[] = [];
  let at = from;
  for (;;) {
    let cell = '';
    if (content[at] === '"') {
      for (;;) {
        const close = content.indexOf('"', at + 1);
        if (close < 0) return undefined;
        cell += content.slice(at + 1, close);
        at = close + 1;
        if (content[at] !== '"') break;
        cell += '"';
      }
    }
    const start = at;
    while (at < content.length && content[at] !== separator && content[at] !== '\n') at++;
    cells.push((cell + content.slice(start, at)).replace(/\r$/, ''));
    if (content[at] !== separator) return { cells, end: at + 1 };
    at++;
  }
}
