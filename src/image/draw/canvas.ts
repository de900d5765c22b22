import type { Rgb } from '../class-colours.ts';
import type { Image } from '../image.ts';
import { eachDot } from './font.ts';

/** A picture that is drawn on. */
export interface Canvas extends Image {
  readonly data: Uint8Array;
}

/** In whole pixels; what lies outside the canvas is not drawn. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Text and lines are some pixels thick, so that they read on large pictures too. */
export const lineUnit = (width: number, height: number): number =>
  Math.max(1, Math.round(Math.min(width, height) / 240));

/** How many times a small picture is enlarged for what is drawn on it to be read. */
export const enlargement = ({ width, height }: Image, leastSide: number): number =>
  Math.max(1, Math.ceil(leastSide / Math.min(width, height)));

/** A copy, every pixel `factor` times as wide and tall, with `below` empty white rows. */
export function canvasOf(image: Image, factor = 1, below = 0): Canvas {
  const [width, height] = [image.width * factor, image.height * factor];
  const data = new Uint8Array(width * (height + below) * 3).fill(255);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 3) {
      const from = 3 * (Math.floor(y / factor) * image.width + Math.floor(x / factor));
      for (let c = 0; c < 3; c++) data[at + c] = image.data[from + c] ?? 0;
    }
  return { width, height: height + below, data };
}

export function fillArea(canvas: Canvas, area: Area, colour: Rgb): void {
  const [left, top] = [Math.max(0, area.x), Math.max(0, area.y)];
  const right = Math.min(canvas.width, area.x + area.width);
  const bottom = Math.min(canvas.height, area.y + area.height);
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) blendPixel(canvas, 3 * (y * canvas.width + x), colour, 1);
}

/** @param share 0–1: how much of what was there is hidden */
export function blendPixel({ data }: Canvas, at: number, colour: Rgb, share: number): void {
  for (const [c, value] of colour.entries()) {
    const old = data[at + c] ?? 0;
    data[at + c] = Math.round(old + share * (value - old));
  }
}

/** A line along the inside of an area's edge. */
export function strokeArea(canvas: Canvas, { x, y, width, height }: Area, colour: Rgb, line: number): void {
  const [across, down] = [Math.min(line, width), Math.min(line, height)];
  fillArea(canvas, { x, y, width, height: down }, colour);
  fillArea(canvas, { x, y: y + height - down, width, height: down }, colour);
  fillArea(canvas, { x, y, width: across, height }, colour);
  fillArea(canvas, { x: x + width - across, y, width: across, height }, colour);
}

/** @param unit side of a dot of the font, in pixels */
export function drawText(
  canvas: Canvas,
  [x, y]: readonly [number, number],
  text: string,
  unit: number,
  ink: Rgb,
): void {
  eachDot(text, (column, row) => {
    fillArea(canvas, { x: x + column * unit, y: y + row * unit, width: unit, height: unit }, ink);
  });
}
