import { element, type Markup, text } from './markup.ts';
import { drawing, shortened, words } from './plot-frame.ts';
import type { CaptionedPicture, Mistake, PictureSheet } from './run-report.ts';
import { type Thumbnail, thumbnail } from './thumbnail.ts';

/** A sheet whose pictures are ready for a page. */
export interface PreparedSheet {
  readonly title: string;
  readonly note?: string;
  readonly pictures: readonly { readonly thumbnail: Thumbnail; readonly caption: readonly string[] }[];
}

export async function prepareSheet(sheet: PictureSheet): Promise<PreparedSheet> {
  const prepare = async ({ image, caption }: CaptionedPicture) => ({
    thumbnail: await thumbnail(image),
    caption,
  });
  return { ...sheet, pictures: await Promise.all(sheet.pictures.map(prepare)) };
}

/** Side of the square that a picture fills in a sheet; small ones are enlarged to it. */
const cell = 128;

function shownSize({ width, height }: Thumbnail): { readonly width: number; readonly height: number } {
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
export function sheetHtml({ title, note, pictures }: PreparedSheet): Markup {
  const figures = pictures.map(({ thumbnail: small, caption }) =>
    element(
      'figure',
      {},
      element('img', { src: small.address, ...shownSize(small), alt: caption.join(', ') }),
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
    element('div', { class: 'sheet' }, figures),
  );
}

const [gap, lineHeight, columns] = [12, 15, 8];

/** The same as one drawing, for a file of its own. @returns SVG */
export function sheetSvg({ title, pictures }: PreparedSheet): Markup {
  const lines = Math.max(0, ...pictures.map(({ caption }) => caption.length));
  const rowHeight = cell + lines * lineHeight + gap + (lines > 0 ? 6 : 0);
  const inRow = Math.max(1, Math.min(columns, pictures.length));
  const rows = Math.ceil(pictures.length / inRow);
  return drawing(
    gap + inRow * (cell + gap),
    44 + rows * rowHeight,
    title,
    words(gap, 20, title, { weight: 'bold', size: 14 }),
    pictures.flatMap(({ thumbnail: small, caption }, i) => {
      const { width, height } = shownSize(small);
      const x = gap + (i % inRow) * (cell + gap);
      const y = 40 + Math.floor(i / inRow) * rowHeight;
      const left = x + (cell - width) / 2;
      return [
        element('image', { href: small.address, x: left, y: y + (cell - height) / 2, width, height }),
        ...caption.map((line, row) =>
          words(x + cell / 2, y + cell + 12 + row * lineHeight, shortened(line, 20), {
            anchor: 'middle',
            size: 11,
            quiet: row > 0,
          }),
        ),
      ];
    }),
  );
}
