import { element, type Markup, text } from './markup.ts';
import { good } from './palette.ts';
import { drawing, line, shortened, words, wordsWidth } from './plot-frame.ts';

export interface Bar {
  readonly name: string;
  /** Share, 0–1; null where there is none. */
  readonly value: number | null;
  /** Behind the value, such as `12 of 40`. */
  readonly note?: string;
}

export interface BarPlot {
  readonly title: string;
  readonly bars: readonly Bar[];
  /** Share at which a line is drawn across, such as the mean. */
  readonly reference?: { readonly value: number; readonly label: string };
  readonly width?: number;
}

const barStep = 22;

/** Shares as lying bars, one a row, in the given order. @returns SVG */
export function barPlot({ title, bars, reference, width = 520 }: BarPlot): Markup {
  const names = bars.map(({ name }) => shortened(name, 24));
  const left = 24 + Math.ceil(Math.max(20, ...names.map((name) => wordsWidth(name))));
  const noteWidth = Math.max(0, ...bars.map(({ note = '' }) => wordsWidth(note, 11)));
  const right = width - 74 - noteWidth;
  const top = 58;
  const bottom = top + bars.length * barStep;
  const place = (share: number): number => left + share * (right - left);
  return drawing(
    width,
    bottom + 30,
    title,
    words(14, 20, title, { weight: 'bold', size: 14 }),
    [0, 0.25, 0.5, 0.75, 1].flatMap((tick) => [
      line(place(tick), top - 4, place(tick), bottom + 4),
      words(place(tick), bottom + 16, `${100 * tick}%`, { anchor: 'middle', quiet: true, size: 11 }),
    ]),
    bars.flatMap(({ value, note }, i) => {
      const y = top + i * barStep;
      const middle = y + barStep / 2;
      const name = names[i] ?? '';
      return [
        words(left - 8, middle, name, { anchor: 'end' }),
        ...(value === null
          ? []
          : [
              element(
                'rect',
                {
                  x: left,
                  y: y + 3,
                  width: Math.max(1, place(value) - left),
                  height: barStep - 6,
                  fill: good,
                },
                element('title', {}, text(`${name}: ${(100 * value).toFixed(1)}%`)),
              ),
            ]),
        words(right + 10, middle, value === null ? '–' : `${(100 * value).toFixed(1)}%`),
        ...(note ? [words(width - 10, middle, note, { anchor: 'end', quiet: true, size: 11 })] : []),
      ];
    }),
    reference
      ? [
          element('line', {
            class: 'plot-tick',
            x1: place(reference.value),
            y1: top - 6,
            x2: place(reference.value),
            y2: bottom + 4,
            stroke: '#5f6b76',
            'stroke-dasharray': '4 3',
          }),
          words(place(reference.value), top - 14, reference.label, {
            anchor: 'middle',
            quiet: true,
            size: 11,
          }),
        ]
      : [],
  );
}
