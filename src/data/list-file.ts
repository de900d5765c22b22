import { DataError } from '../errors.ts';
import { classSplits, type SplitName, type SplitOptions, splitName } from './class-splits.ts';
import type { ClassSplits, Sample } from './dataset.ts';
import type { DataFiles } from './files.ts';
import { parseTable } from './parse-table.ts';

export interface ListOptions extends SplitOptions {
  /** Names of the classes, where the list has their numbers; left out, the numbers are the names. */
  readonly classes?: readonly string[];
}

interface Row {
  readonly line: number;
  readonly path: string;
  readonly label: string;
  readonly split: SplitName;
}

const columnNames = {
  path: ['path', 'file', 'filename', 'file_name', 'image', 'image_path'],
  label: ['label', 'class', 'category', 'target', 'class_name', 'class_id'],
  split: ['split', 'part', 'set', 'subset'],
} as const;

type Column = keyof typeof columnNames;

/**
 * A list of pictures: one line each of path, label and, if wanted, part (`train`, `val`, `test`), separated by
 * commas (quoted as in CSV), semicolons or tabs, or `path number` with a space as ImageNet's lists are. A first
 * line with column names may reorder them. Paths are relative to the list's folder. Labels that are all whole
 * numbers are class numbers from 0, others names, sorted.
 * @param listPath the list, among `files`
 * @throws DataError naming list and line for a line that says something else
 */
export async function openListFile(
  files: DataFiles,
  listPath: string,
  options: ListOptions = {},
): Promise<ClassSplits> {
  const where = `list "${files.name}/${listPath}"`;
  const rows = readRows(new TextDecoder().decode(await files.read(listPath)), listPath, where);
  const { classes, indexOf } = classTable(rows, options.classes, where);
  const samples: Partial<Record<SplitName, Sample<number>[]>> = {};
  for (const row of rows) {
    const target = indexOf(row);
    const part = samples[row.split] ?? [];
    samples[row.split] = part;
    part.push({ path: row.path, target });
  }
  return classSplits({ files, classes, samples, ignored: [] }, options);
}

function readRows(text: string, listPath: string, where: string): Row[] {
  const table = parseTable(text, where);
  const header = table[0] && headerColumns(table[0].cells);
  const columns = header ?? { path: 0, label: 1, split: 2 };
  const folder = listPath.slice(0, listPath.lastIndexOf('/') + 1);
  return table.slice(header ? 1 : 0).map(({ line, cells }) => {
    const path = cells[columns.path]?.trim() ?? '';
    const label = cells[columns.label]?.trim() ?? '';
    if (path === '' || label === '') {
      throw new DataError(
        `${where} line ${line}: expected path,label, found ${JSON.stringify(cells.join(',').slice(0, 80))}.`,
        { line },
      );
    }
    const part = columns.split === undefined ? '' : (cells[columns.split]?.trim() ?? '');
    const split = part === '' ? 'train' : splitName(part);
    if (!split) {
      throw new DataError(
        `${where} line ${line}: expected train, val or test, found ${JSON.stringify(part)}.`,
        {
          line,
          part,
        },
      );
    }
    return { line, path: insidePath(folder, path.replaceAll('\\', '/'), where, line), label, split };
  });
}

/** Columns by name, when the first line names both path and label. */
function headerColumns(
  cells: readonly string[],
): { path: number; label: number; split?: number } | undefined {
  const find = (column: Column): number => {
    const known: readonly string[] = columnNames[column];
    return cells.findIndex((cell) => known.includes(cell.trim().toLowerCase()));
  };
  const [path, label, split] = [find('path'), find('label'), find('split')];
  if (path < 0 || label < 0) return undefined;
  return split < 0 ? { path, label } : { path, label, split };
}

/** `a/`, `./b/../c` → `a/c`. @throws DataError for a path that leaves the data set's folder or starts at the root */
function insidePath(folder: string, path: string, where: string, line: number): string {
  const parts: string[] = [];
  let outside = /^([a-z]:)?\//i.test(path);
  for (const part of (folder + path).split('/')) {
    if (part === '..') outside ||= parts.pop() === undefined;
    else if (part !== '.' && part !== '') parts.push(part);
  }
  if (!outside) return parts.join('/');
  throw new DataError(
    `${where} line ${line}: "${path}" is not inside the list's folder; put the list above its pictures and give relative paths.`,
    { line, path },
  );
}

function classTable(
  rows: readonly Row[],
  given: readonly string[] | undefined,
  where: string,
): { classes: readonly string[]; indexOf: (row: Row) => number } {
  const labels = [...new Set(rows.map((row) => row.label))];
  const numbered = labels.every((label) => /^\d{1,5}$/.test(label));
  const most = numbered ? Math.max(-1, ...labels.map(Number)) : -1;
  const classes = given ?? (numbered ? Array.from({ length: most + 1 }, (_, i) => String(i)) : labels.sort());
  const byName = new Map(classes.map((name, index) => [name, index]));
  const indexOf = ({ label, line }: Row): number => {
    const index = byName.get(label) ?? (numbered ? Number(label) : undefined);
    if (index !== undefined && index < classes.length) return index;
    throw new DataError(
      `${where} line ${line}: label "${label}" is none of the ${classes.length} classes (${classes.slice(0, 5).join(', ')}, …).`,
      { line, label },
    );
  };
  return { classes, indexOf };
}
