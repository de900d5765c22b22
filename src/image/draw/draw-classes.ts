import { ImageError } from '../../errors.ts';
import { inkOn, type Rgb } from '../class-colours.ts';
import type { Image } from '../image.ts';
import {
  blendPixel,
  type Canvas,
  canvasOf,
  drawText,
  enlargement,
  fillArea,
  lineUnit,
  strokeArea,
} from './canvas.ts';
import type { DrawOptions } from './draw-boxes.ts';
import { fitText, glyphHeight, textWidth } from './font.ts';

export interface LegendEntry {
  readonly label: number;
  readonly className: string;
  readonly colour: Rgb;
  /** Of the picture, 0–1. */
  readonly share: number;
}

/** A class map at the size of the picture. */
export interface ClassPicture {
  readonly width: number;
  readonly height: number;
  readonly classMap: Uint8Array;
  readonly classes: readonly LegendEntry[];
}

export interface DrawClassesOptions extends DrawOptions {
  /** Label that is left as it is; default null, none. */
  readonly background?: number | null;
  /** How much of the picture colours hide, 0–1, default 0.55; what shows through is grey, lest colours mix. */
  readonly opacity?: number;
}

/**
 * A copy of the picture with every class in its colour and an outline where it ends, and below it a legend of the
 * classes that are there, those with most pixels first.
 * @throws ImageError when the class map is not of the picture's size
 */
export function drawClasses(image: Image, map: ClassPicture, options: DrawClassesOptions = {}): Image {
  if (map.width !== image.width || map.height !== image.height)
    throw new ImageError(
      `drawClasses: the class map is ${map.width}×${map.height}, the picture ${image.width}×${image.height}; both must be of one size.`,
    );
  const { leastSide = 400, background = null, opacity = 0.55 } = options;
  const factor = enlargement(image, leastSide);
  const [width, height] = [image.width * factor, image.height * factor];
  const unit = lineUnit(width, height);
  const shown = map.classes
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || a.label - b.label);
  const legend = layLegend(shown, width, unit);
  const canvas = canvasOf(image, factor, legend.height);
  paintClasses(canvas, map, { factor, unit, background, opacity });
  for (const { entry, text, x, y } of legend.places)
    drawEntry(canvas, entry, text, [x, height + y], unit, entry.label === background);
  return canvas;
}

interface Paint {
  readonly factor: number;
  readonly unit: number;
  readonly background: number | null;
  readonly opacity: number;
}

function paintClasses(canvas: Canvas, map: ClassPicture, { factor, unit, background, opacity }: Paint): void {
  const [width, height] = [map.width * factor, map.height * factor];
  const colours = new Map(map.classes.map(({ label, colour }) => [label, colour]));
  const clamp = (value: number, size: number): number => Math.min(Math.max(value, 0), size - 1);
  const labelAt = (x: number, y: number): number =>
    map.classMap[Math.floor(clamp(y, height) / factor) * map.width + Math.floor(clamp(x, width) / factor)] ??
    0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const label = labelAt(x, y);
      const colour = colours.get(label);
      if (label === background || colour === undefined) continue;
      const edge = (reach: number): boolean =>
        labelAt(x - reach, y) !== label ||
        labelAt(x + reach, y) !== label ||
        labelAt(x, y - reach) !== label ||
        labelAt(x, y + reach) !== label;
      const at = 3 * (y * canvas.width + x);
      if (edge(Math.max(1, Math.floor(unit / 2)))) blendPixel(canvas, at, inkOn(colour), 1);
      else {
        blendPixel(canvas, at, greyOf(canvas, at), 1);
        blendPixel(canvas, at, colour, edge(2 * unit) ? 1 : opacity);
      }
    }
}

function greyOf({ data }: Canvas, at: number): Rgb {
  const [red = 0, green = 0, blue = 0] = data.subarray(at, at + 3);
  const grey = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  return [grey, grey, grey];
}

interface PlacedEntry {
  readonly entry: LegendEntry;
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

/** Side of a swatch and of the gap after it, in dots. */
const swatch = glyphHeight;
const gap = 4;

const percent = (share: number): string => (share < 0.01 ? '<1%' : `${Math.round(100 * share)}%`);

/** Entries from left to right, as many a row as there is room for. */
function layLegend(
  entries: readonly LegendEntry[],
  width: number,
  unit: number,
): { readonly places: readonly PlacedEntry[]; readonly height: number } {
  const dots = Math.floor(width / unit);
  const places: PlacedEntry[] = [];
  let [x, y] = [gap, gap];
  for (const entry of entries) {
    const text = fitText(`${entry.className} ${percent(entry.share)}`, dots - swatch - 3 * gap);
    const wide = swatch + gap + textWidth(text);
    if (x > gap && x + wide + gap > dots) [x, y] = [gap, y + swatch + gap];
    places.push({ entry, text, x: x * unit, y: y * unit });
    x += wide + 2 * gap;
  }
  return { places, height: places.length === 0 ? 0 : (y + swatch + gap) * unit };
}

const dark: Rgb = [20, 20, 20];

/** The background's swatch is empty. */
function drawEntry(
  canvas: Canvas,
  { colour }: LegendEntry,
  text: string,
  [x, y]: readonly [number, number],
  unit: number,
  empty: boolean,
): void {
  const area = { x, y, width: swatch * unit, height: swatch * unit };
  if (!empty) fillArea(canvas, area, colour);
  strokeArea(canvas, area, dark, Math.max(1, Math.floor(unit / 2)));
  drawText(canvas, [x + (swatch + gap) * unit, y + unit], text, unit, dark);
}
