import { element, type Markup } from './markup.ts';
import { lineColours } from './palette.ts';
import { axes, drawing, type Frame, words, wordsWidth } from './plot-frame.ts';
import { createScale, domainOf, type Range, type Scale, type ScaleKind } from './scale.ts';

export interface LineSeries {
  readonly name: string;
  /** [x, y] by rising x; the line breaks where y is null or no number. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

export interface LinePlot {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly LineSeries[];
  /** Default linear. */
  readonly yScale?: ScaleKind;
  /** Values are shares, written as percentages. */
  readonly percent?: boolean;
  /** Default: what the values span. */
  readonly yDomain?: Range;
  /** The axis begins at 0, so that heights compare. */
  readonly fromZero?: boolean;
  /** Vertical marks with a word, such as the epoch of the best checkpoint. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
  readonly width?: number;
  readonly height?: number;
}

/** Dashes tell lines apart where colours do not. */
const dashes = [undefined, '7 4', '2 3', '9 3 2 3', '4 2', '1 4'] as const;

/** More points than this cannot be seen apart; runs of them are drawn as their mean. */
const mostPoints = 500;

/** Lines over one axis, with a legend above them. @returns SVG */
export function linePlot(plot: LinePlot): Markup {
  const { title, xLabel, series, yScale = 'linear', width = 520, height = 300, marks = [] } = plot;
  const frame: Frame = { left: 58, top: 62, right: width - 18, bottom: height - 44 };
  const points = series.map((one) => thinned(one.points));
  const xs = points.flat().map(([x]) => x);
  const ys = [
    ...(plot.fromZero ? [0] : []),
    ...points.flat().flatMap(([, y]) => (y === null ? [] : [plot.percent ? 100 * y : y])),
  ];
  const yDomain = plot.yDomain?.map((value) => (plot.percent ? 100 * value : value)) as Range | undefined;
  const [yCount, xCount] = [
    Math.round((frame.bottom - frame.top) / 42),
    Math.round((frame.right - frame.left) / 64),
  ];
  const x = createScale('linear', spanOf(xs), [frame.left, frame.right], xCount);
  const plain = createScale(
    yScale,
    yDomain ?? domainOf(yScale, ys, yCount),
    [frame.bottom, frame.top],
    yCount,
  );
  const y: Scale = plot.percent
    ? { ...plain, place: (value) => plain.place(100 * value), format: (value) => `${plain.format(value)}%` }
    : plain;
  const grid: Scale = plot.percent ? { ...y, place: plain.place } : y;
  return drawing(
    width,
    height,
    `${title}: ${series.map(({ name }) => name).join(', ')} by ${xLabel}`,
    words(14, 20, title, { weight: 'bold', size: 14 }),
    legend(series, width),
    axes(frame, wholeTicks(x), grid),
    words((frame.left + frame.right) / 2, height - 12, xLabel, { anchor: 'middle', quiet: true }),
    marks.map(({ x: at, label }) => mark(frame, x.place(at), label)),
    points.flatMap((one, i) => curve(one, x, y, yScale, i)),
  );
}

/** Epochs and steps are counted: a tick between two of them says nothing. */
function wholeTicks(scale: Scale): Scale {
  const ticks = scale.ticks.map((tick) => Math.round(tick * 1e6) / 1e6).filter(Number.isInteger);
  return { ...scale, ticks, format: (value) => (value < 1e4 ? String(value) : scale.format(value)) };
}

function spanOf(values: readonly number[]): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low < high ? [low, high] : Number.isFinite(low) ? [low - 0.5, low + 0.5] : [0, 1];
}

type Points = LineSeries['points'];

function thinned(points: Points): Points {
  if (points.length <= mostPoints) return points;
  const run = points.length / mostPoints;
  return Array.from({ length: mostPoints }, (_, i) => {
    const part = points.slice(Math.floor(i * run), Math.floor((i + 1) * run));
    const valued = part.flatMap(([, y]) => (y !== null && Number.isFinite(y) ? [y] : []));
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, one) => sum + one, 0) / values.length;
    return [mean(part.map(([x]) => x)), valued.length > 0 ? mean(valued) : null] as const;
  });
}

function curve(points: Points, x: Scale, y: Scale, kind: ScaleKind, index: number): readonly Markup[] {
  const pieces: (readonly [number, number])[][] = [[]];
  for (const [at, value] of points) {
    if (value === null || !Number.isFinite(value) || (kind === 'log' && value <= 0)) pieces.push([]);
    else pieces.at(-1)?.push([x.place(at), y.place(value)]);
  }
  const colour = lineColours[index % lineColours.length] ?? lineColours[0];
  const style = {
    fill: 'none',
    stroke: colour,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
    'stroke-dasharray': dashes[index % dashes.length],
  };
  const drawn = pieces.filter((piece) => piece.length > 0);
  const dot = ([cx, cy]: readonly [number, number]): Markup =>
    element('circle', { cx, cy, r: 3, fill: colour });
  const places = drawn.reduce((sum, piece) => sum + piece.length, 0);
  return drawn.flatMap((piece) => [
    ...(piece.length > 1
      ? [
          element('polyline', {
            ...style,
            points: piece.map((place) => place.map((one) => one.toFixed(1)).join()).join(' '),
          }),
        ]
      : []),
    ...(places <= 30 || piece.length === 1 ? piece.map(dot) : []),
  ]);
}

function mark({ top, bottom }: Frame, x: number, label: string): Markup {
  return element(
    'g',
    {},
    element('line', {
      class: 'plot-tick',
      x1: x,
      y1: top - 4,
      x2: x,
      y2: bottom,
      stroke: '#5f6b76',
      'stroke-dasharray': '2 3',
    }),
    words(x, top - 11, label, { anchor: 'middle', quiet: true, size: 11 }),
  );
}

/** In the row below the title, each name after a piece of its line. */
function legend(series: readonly LineSeries[], width: number): readonly Markup[] {
  if (series.length < 2) return [];
  let x = 16;
  return series.flatMap(({ name }, i) => {
    if (x > width - 60) return [];
    const start = x;
    x += 30 + wordsWidth(name) + 18;
    return [
      element('line', {
        x1: start,
        y1: 41,
        x2: start + 24,
        y2: 41,
        stroke: lineColours[i % lineColours.length],
        'stroke-width': 2.5,
        'stroke-dasharray': dashes[i % dashes.length],
      }),
      words(start + 30, 41, name),
    ];
  });
}
