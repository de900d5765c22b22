import { type Attributes, element, type Markup, text } from './markup.ts';
import { gridColour, ink, quietInk } from './palette.ts';
import type { Scale } from './scale.ts';

/** What all plots share: the canvas, words, axes. Lengths are pixels at 100 %. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const family = 'system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, DejaVu Sans, sans-serif';

/** A whole drawing that stands alone as a file and in a page; `label` is read to those who cannot see it. */
export function drawing(
  width: number,
  height: number,
  label: string,
  ...children: readonly (Markup | readonly Markup[])[]
): Markup {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
    'font-family': family,
    'font-size': 12,
  };
  const ground = element('rect', { class: 'plot-ground', width, height, fill: '#ffffff' });
  return element('svg', attributes, element('title', {}, text(label)), ground, ...children);
}

export interface WordStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly weight?: 'bold';
  readonly quiet?: boolean;
  readonly fill?: string;
  /** Degrees about the place. */
  readonly turn?: number;
}

/** Words with the middle of their height at y. */
export function words(x: number, y: number, value: string, style: WordStyle = {}): Markup {
  const { anchor = 'start', size, weight, quiet = false, fill, turn } = style;
  const attributes: Attributes = {
    class: fill ? undefined : quiet ? 'plot-quiet' : 'plot-ink',
    x,
    y,
    dy: '0.35em',
    fill: fill ?? (quiet ? quietInk : ink),
    'text-anchor': anchor === 'start' ? undefined : anchor,
    'font-size': size,
    'font-weight': weight,
    transform: turn === undefined ? undefined : `rotate(${turn} ${x} ${y})`,
  };
  return element('text', attributes, text(value));
}

export const line = (x1: number, y1: number, x2: number, y2: number, stroke = gridColour): Markup =>
  element('line', { class: stroke === gridColour ? 'plot-grid' : undefined, x1, y1, x2, y2, stroke });

/** Grid lines with their values: left of the frame, and below it. */
export function axes(frame: Frame, x: Scale, y: Scale): readonly Markup[] {
  const { left, right, top, bottom } = frame;
  return [
    ...y.ticks.flatMap((tick) => [
      line(left, y.place(tick), right, y.place(tick)),
      words(left - 8, y.place(tick), y.format(tick), { anchor: 'end', quiet: true }),
    ]),
    ...x.ticks.flatMap((tick) => [
      element('line', {
        class: 'plot-tick',
        x1: x.place(tick),
        y1: bottom,
        x2: x.place(tick),
        y2: bottom + 4,
        stroke: quietInk,
      }),
      words(x.place(tick), bottom + 14, x.format(tick), { anchor: 'middle', quiet: true }),
    ]),
    element('line', { class: 'plot-tick', x1: left, y1: bottom, x2: right, y2: bottom, stroke: quietInk }),
    element('line', { class: 'plot-grid', x1: left, y1: top, x2: left, y2: bottom, stroke: gridColour }),
  ];
}

/** Roughly how wide words are, where no font can be asked. */
export const wordsWidth = (value: string, size = 12): number => 0.56 * size * [...value].length;

/** At most `most` characters, `…` for what was cut. */
export const shortened = (value: string, most: number): string => {
  const characters = [...value];
  return characters.length <= most ? value : `${characters.slice(0, most - 1).join('')}…`;
};
