import type { ConfusionMatrix } from '../metrics/confusion.ts';
import { element, type Markup, text } from './markup.ts';
import { heatColour, inkOnHeat } from './palette.ts';
import { drawing, shortened, words, wordsWidth } from './plot-frame.ts';

export interface ConfusionPlot {
  readonly title: string;
  readonly matrix: ConfusionMatrix;
  readonly classNames: readonly string[];
}

/** Cells shrink with the number of classes; numbers are written while they can be read, names a little longer. */
function layoutOf(classes: number) {
  const fitting = 620 / classes;
  const cell = fitting >= 3 ? Math.min(44, Math.floor(fitting)) : fitting;
  return { cell, numbers: cell >= 20, names: cell >= 9, fontSize: Math.min(12, Math.max(8, cell - 2)) };
}

/**
 * Rows are the truth, columns the answers; a cell's shade is its share of its row, that of mistakes by the square root,
 * so that rare ones are seen.
 * @returns SVG
 */
export function confusionPlot({ title, matrix, classNames }: ConfusionPlot): Markup {
  const { cell, numbers, names, fontSize } = layoutOf(matrix.length);
  const labels = matrix.map((_, i) => shortened(classNames[i] ?? `class ${i}`, 18));
  const longest = names ? Math.max(...labels.map((label) => wordsWidth(label, fontSize))) : 0;
  const left = Math.ceil(longest) + 44;
  const top = Math.ceil(longest * 0.72) + 66;
  const side = cell * matrix.length;
  // Names of the last columns lean out to the right.
  const width = Math.ceil(Math.max(left + side + longest * 0.72 + 16, 380));
  const cells = matrix.flatMap((row, truth) => {
    const total = row.reduce((sum, one) => sum + one, 0);
    return row.flatMap((count, answer) => {
      if (count === 0) return [];
      const tip = `${labels[truth]} taken for ${labels[answer]}: ${count} of ${total}`;
      const place = { x: left + answer * cell, y: top + truth * cell, size: cell };
      return drawCell(place, count / total, truth === answer, numbers ? String(count) : '', names ? tip : '');
    });
  });
  const rowNames = labels.map((label, i) =>
    words(left - 6, top + (i + 0.5) * cell, label, { anchor: 'end', size: fontSize }),
  );
  const columnNames = labels.map((label, i) =>
    words(left + (i + 0.5) * cell, top - 8, label, { size: fontSize, turn: -45 }),
  );
  const square = { x: left, y: top, width: side, height: side };
  return drawing(
    width,
    Math.ceil(top + side + 16),
    `${title}: rows are the truth, columns the answers`,
    words(14, 20, title, { weight: 'bold', size: 14 }),
    words(14, 40, 'rows: truth; columns: answer; blue: right, orange: wrong', { quiet: true, size: 11 }),
    element('rect', { ...square, fill: heatColour(0, 'right') }),
    cells,
    names ? [...rowNames, ...columnNames] : [],
    element('rect', { ...square, fill: 'none', stroke: '#9aa5b1' }),
  );
}

interface Square {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

function drawCell(
  { x, y, size }: Square,
  share: number,
  right: boolean,
  number: string,
  tip: string,
): readonly Markup[] {
  const shade = right ? share : Math.sqrt(share);
  const fill = heatColour(shade, right ? 'right' : 'wrong');
  const title = tip === '' ? [] : element('title', {}, text(tip));
  const square = element('rect', { x, y, width: size, height: size, fill }, title);
  if (number === '') return [square];
  const fontSize = Math.min(12, (size - 4) / wordsWidth(number, 1));
  const style = { anchor: 'middle', size: fontSize, fill: inkOnHeat(shade) } as const;
  return [square, words(x + size / 2, y + size / 2, number, style)];
}
