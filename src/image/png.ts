import type { Image } from './image.ts';
import type { PngHeader } from './png-chunks.ts';
import {
  channelCount,
  type Pass,
  passColumns,
  passRowBytes,
  passRows,
  readPngRows,
  unpack,
} from './png-rows.ts';

/**
 * A PNG as RGB: every colour type, depth and interlacing; alpha and tRNS are dropped, 16-bit samples keep their
 * high byte (Pillow does the same for colour; its conversion of 16-bit grey saturates and is not imitated).
 * The platform's inflater does the heavy part, so that a damaged file leaves nothing behind that could break the
 * next one, and memory is bounded by the header's size.
 * @throws ImageError for a damaged or cut file
 * @see PNG specification, third edition
 */
export async function decodePng(bytes: Uint8Array): Promise<Image> {
  const { header, palette, passes, raw } = await readPngRows(bytes);
  const data = new Uint8Array(header.width * header.height * 3);
  let at = 0;
  for (const pass of passes) {
    writePass(raw, at, header, pass, palette, data);
    at += passRows(header, pass) * (passRowBytes(header, pass) + 1);
  }
  return { width: header.width, height: header.height, data };
}

/** Spreads one unfiltered pass over the RGB picture. */
function writePass(
  raw: Uint8Array,
  start: number,
  header: PngHeader,
  pass: Pass,
  palette: Uint8Array | undefined,
  out: Uint8Array,
): void {
  const channels = channelCount[header.colourType];
  const columns = passColumns(header, pass);
  const rows = passRows(header, pass);
  const rowBytes = passRowBytes(header, pass);
  const green = channels < 3 ? 0 : 1;
  const blue = channels < 3 ? 0 : 2;
  const step = pass.dx * 3;
  const scratch = new Uint8Array(columns * channels);
  for (let r = 0; r < rows; r++) {
    const at = start + r * (rowBytes + 1) + 1;
    const samples = unpack(raw.subarray(at, at + rowBytes), header.depth, palette === undefined, scratch);
    let o = ((pass.y + r * pass.dy) * header.width + pass.x) * 3;
    for (let i = 0; i < scratch.length; i += channels, o += step) {
      const sample = samples[i] ?? 0;
      out[o] = palette ? (palette[sample * 3] ?? 0) : sample;
      out[o + 1] = palette ? (palette[sample * 3 + 1] ?? 0) : (samples[i + green] ?? 0);
      out[o + 2] = palette ? (palette[sample * 3 + 2] ?? 0) : (samples[i + blue] ?? 0);
    }
  }
}
