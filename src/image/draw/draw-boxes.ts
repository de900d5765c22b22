import { classColours, inkOn, type Rgb } from '../class-colours.ts';
import type { Image } from '../image.ts';
import {
  type Area,
  type Canvas,
  canvasOf,
  drawText,
  enlargement,
  fillArea,
  lineUnit,
  strokeArea,
} from './canvas.ts';
import { fitText, glyphHeight, textWidth } from './font.ts';

/** A box with what is to be said of it. */
export interface LabelledBox {
  readonly label: number;
  readonly className: string;
  /** 0–1; absent, as of a true box, only the name is shown. */
  readonly score?: number;
  /** In pixels of the picture. */
  readonly box: Area;
}

export interface DrawOptions {
  /** Pictures whose shorter side is less are enlarged by a whole number, default 400. */
  readonly leastSide?: number;
}

/** Share of the picture that tags may cover; of more boxes than that allows only the surest are named. */
const mostCovered = 0.2;

/** A copy of the picture with a frame around every box, in its class's colour, and a tag that names it; surest on top. */
export function drawBoxes(image: Image, boxes: readonly LabelledBox[], options: DrawOptions = {}): Image {
  const factor = enlargement(image, options.leastSide ?? 400);
  const canvas = canvasOf(image, factor);
  const unit = lineUnit(canvas.width, canvas.height);
  const colours = classColours(1 + Math.max(0, ...boxes.map(({ label }) => label)));
  const drawn = [...boxes]
    .sort((a, b) => (a.score ?? 1) - (b.score ?? 1))
    .map((one) => ({ one, area: onCanvas(one.box, factor, canvas), colour: colours[one.label] ?? white }));
  for (const { area, colour } of drawn) drawFrame(canvas, area, colour, unit);
  const taken: Area[] = [];
  let covered = 0;
  // The surest choose their places first.
  const tags = drawn.toReversed().flatMap(({ one, area, colour }) => {
    if (covered > mostCovered * canvas.width * canvas.height) return [];
    const text = fitText(tagText(one), Math.floor(canvas.width / unit) - 4);
    const tag = placeTag(canvas, area, text, unit, taken);
    covered += tag.width * tag.height;
    taken.push(tag);
    return [{ text, tag, colour }];
  });
  for (const { text, tag, colour } of tags.toReversed()) drawTag(canvas, tag, text, colour, unit);
  return canvas;
}

const white: Rgb = [255, 255, 255];

const tagText = ({ className, score }: LabelledBox): string =>
  score === undefined ? className : `${className} ${Math.round(100 * score)}%`;

function onCanvas({ x, y, width, height }: Area, factor: number, canvas: Canvas): Area {
  const [left, top] = [Math.round(factor * x), Math.round(factor * y)];
  const right = Math.min(canvas.width, Math.round(factor * (x + width)));
  const bottom = Math.min(canvas.height, Math.round(factor * (y + height)));
  return { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
}

/** In the class's colour between two thin lines that contrast with it, so that it shows on any ground. */
function drawFrame(canvas: Canvas, area: Area, colour: Rgb, unit: number): void {
  const rim = Math.max(1, Math.floor(unit / 2));
  const line = 1.5 * unit < 2 ? 2 : Math.round(1.5 * unit);
  const grown = (by: number): Area => ({
    x: area.x - by,
    y: area.y - by,
    width: area.width + 2 * by,
    height: area.height + 2 * by,
  });
  strokeArea(canvas, grown(rim), inkOn(colour), line + 2 * rim);
  strokeArea(canvas, area, colour, line);
}

/** Above the box, else below, else inside: the first place that is on the picture and hides no other tag. */
function placeTag(canvas: Canvas, area: Area, text: string, unit: number, taken: readonly Area[]): Area {
  const [width, height] = [(textWidth(text) + 4) * unit, (glyphHeight + 2) * unit];
  const left = Math.max(0, Math.min(area.x, canvas.width - width));
  const right = Math.max(0, Math.min(area.x + area.width - width, canvas.width - width));
  const ends = [area.y - height, area.y + area.height, area.y, area.y + area.height - height];
  const places = ends.flatMap((y) => [left, right].map((x) => ({ x, y, width, height })));
  const inside = places.filter(({ y }) => y >= 0 && y + height <= canvas.height);
  const free = inside.find((place) => !taken.some((other) => meet(place, other)));
  return free ?? inside[0] ?? { x: left, y: Math.max(0, canvas.height - height), width, height };
}

const meet = (a: Area, b: Area): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

function drawTag(canvas: Canvas, tag: Area, text: string, colour: Rgb, unit: number): void {
  const ink = inkOn(colour);
  fillArea(canvas, tag, colour);
  strokeArea(canvas, tag, ink, Math.max(1, Math.floor(unit / 2)));
  drawText(canvas, [tag.x + 2 * unit, tag.y + 2 * unit], text, unit, ink);
}
