import type { Rgb } from '../image/class-colours.ts';
import { element, type Markup, text } from './markup.ts';
import { drawing, shortened, words, wordsWidth } from './plot-frame.ts';
import type { CaptionedPicture, Mistake, PictureSheet } from './run-report.ts';
import { type Thumbnail, thumbnail } from './thumbnail.ts';

/** A sheet whose pictures are ready for a page. */
export interface PreparedSheet {
  readonly title: string;
  readonly note?: string;
  readonly side?: number;
  readonly legend?: NonNullable<PictureSheet['legend']>;
  readonly pictures: readonly { readonly thumbnail: Thumbnail; readonly caption: readonly string[] }[];
}

export async function prepareSheet(sheet: PictureSheet): Promise<PreparedSheet> {
  const prepare = async ({ image, caption }: CaptionedPicture) => ({
    thumbnail: await thumbnail(image, sheet.side),
    caption,
  });
  return { ...sheet, pictures: await Promise.all(sheet.pictures.map(prepare)) };
}

/** Longer side of a picture in a sheet, unless the sheet says another; small ones are enlarged to it. */
const usualSide = 128;

function shownSize(
  { width, height }: Thumbnail,
  cell: number,
): { readonly width: number; readonly height: number } {
  const ratio = cell / Math.max(width, height);
  return { width: Math.round(width * ratio), height: Math.round(height * ratio) };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

/** The most confident first, as they are given. */
export function mistakeSheet(mistakes: readonly Mistake[], classNames: readonly string[]): PictureSheet {
  const nameOf = (label: number): string => classNames[label] ?? `class ${label}`;
  return {
    title: 'Worst mistakes',
    note: 'The wrong answers given with most confidence.',
    pictures: mistakes.map(({ image, name, truth, predicted, probability, truthProbability }) => ({
      image,
      caption: [
        `✗ ${nameOf(predicted)} ${percent(probability)}`,
        `is ${nameOf(truth)} ${percent(truthProbability)}`,
        name,
      ],
    })),
  };
}

/** Figures side by side, as many in a row as fit. @returns HTML */
export function sheetHtml({ title, note, pictures, legend, side = usualSide }: PreparedSheet): Markup {
  const figures = pictures.map(({ thumbnail: small, caption }) =>
    element(
      'figure',
      {},
      element('img', { src: small.address, ...shownSize(small, side), alt: caption.join(', ') }),
      element(
        'figcaption',
        {},
        caption.map((line) => element('span', { title: line }, text(line))),
      ),
    ),
  );
  return element(
    'section',
    {},
    element('h2', {}, text(title)),
    ...(note ? [element('p', { class: 'note' }, text(note))] : []),
    ...(legend ? [legendHtml(legend)] : []),
    element(
      'div',
      {
        class: 'sheet',
        ...(side === usualSide
          ? {}
          : { style: `grid-template-columns: repeat(auto-fill, minmax(min(${side}px, 100%), 1fr))` }),
      },
      figures,
    ),
  );
}

const css = (colour: Rgb): string => `rgb(${colour.join(', ')})`;

function legendHtml(legend: NonNullable<PictureSheet['legend']>): Markup {
  return element(
    'p',
    { class: 'legend' },
    legend.map(({ name, colour }) =>
      element('span', {}, element('i', { style: `background: ${css(colour)}` }), text(name)),
    ),
  );
}

const [gap, lineHeight, rowWidth] = [12, 15, 8 * usualSide];

/** The same as one drawing, for a file of its own. @returns SVG */
export function sheetSvg({ title, pictures, legend = [], side = usualSide }: PreparedSheet): Markup {
  const lines = Math.max(0, ...pictures.map(({ caption }) => caption.length));
  const sizes = pictures.map(({ thumbnail: small }) => shownSize(small, side));
  const tallest = Math.max(0, ...sizes.map(({ height }) => height));
  const cellHeight = side === usualSide ? side : tallest;
  const rowHeight = cellHeight + lines * lineHeight + gap + (lines > 0 ? 6 : 0);
  const inRow = Math.max(1, Math.min(Math.floor(rowWidth / side), pictures.length));
  const rows = Math.ceil(pictures.length / inRow);
  const width = gap + inRow * (side + gap);
  const entries = laidLegend(legend, width);
  const top = 40 + entries.height;
  return drawing(
    width,
    top + 4 + rows * rowHeight,
    title,
    words(gap, 20, title, { weight: 'bold', size: 14 }),
    entries.drawn,
    pictures.flatMap(({ thumbnail: small, caption }, i) => {
      const shown = shownSize(small, side);
      const x = gap + (i % inRow) * (side + gap);
      const y = top + Math.floor(i / inRow) * rowHeight;
      const left = x + (side - shown.width) / 2;
      const at = { x: left, y: y + (cellHeight - shown.height) / 2 };
      return [
        element('image', { href: small.address, ...at, ...shown }),
        ...caption.map((line, row) =>
          words(x + side / 2, y + cellHeight + 12 + row * lineHeight, shortened(line, side / 6.4), {
            anchor: 'middle',
            size: 11,
            quiet: row > 0,
          }),
        ),
      ];
    }),
  );
}

/** Colours and their names, as many in a row as fit, below the title. */
function laidLegend(legend: NonNullable<PictureSheet['legend']>, width: number) {
  let [x, y] = [gap, 42];
  const drawn = legend.flatMap(({ name, colour }) => {
    const length = 18 + wordsWidth(name, 11) + 14;
    if (x > gap && x + length > width) [x, y] = [gap, y + 16];
    const at = x;
    x += length;
    return [
      element('rect', { x: at, y: y - 6, width: 12, height: 12, fill: css(colour) }),
      words(at + 18, y, name, { size: 11 }),
    ];
  });
  return { drawn, height: legend.length === 0 ? 0 : y - 42 + 18 };
}
