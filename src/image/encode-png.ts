import { ImageError } from '../errors.ts';
import { checkSize, type Image } from './image.ts';
import { crc32 } from './png-chunks.ts';

/** A picture of colour numbers, such as a mask: `data` has width·height indices into at most 256 RGB colours. */
export interface IndexedImage extends Image {
  readonly palette: readonly (readonly [red: number, green: number, blue: number])[];
}

/**
 * A PNG file: 8-bit RGB, or a palette with one byte a pixel. Compressed by the platform's own zlib.
 * @throws ImageError when `data` has not the bytes of its size, or a palette not 1 to 256 colours
 * @see PNG specification, third edition
 */
export async function encodePng(image: Image | IndexedImage): Promise<Uint8Array> {
  const { width, height, data } = image;
  checkSize(width, height, 'encodePng');
  const palette = 'palette' in image ? image.palette : undefined;
  const unit = palette ? 1 : 3;
  if (data.length !== width * height * unit)
    throw new ImageError(
      `encodePng: ${width}×${height} pixels of ${unit} bytes need ${width * height * unit}, found ${data.length}.`,
    );
  if (palette && (palette.length < 1 || palette.length > 256))
    throw new ImageError(`encodePng: a palette has 1 to 256 colours, found ${palette.length}.`);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, palette ? 3 : 2, 0, 0, 0], 8);
  const pixels = await deflate(filterRows(data, width * unit, unit, palette !== undefined));
  return joined([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    ...(palette ? [chunk('PLTE', Uint8Array.from(palette.flat()))] : []),
    chunk('IDAT', pixels),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** What each filter foretells of a byte from the bytes left, above and left above; a row stores the difference. */
const predictors: readonly ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_left, up) => up,
  (left, up) => (left + up) >> 1,
  (left, up, corner) => {
    const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
    const toCorner = Math.abs(left + up - 2 * corner);
    return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
  },
];

/** Each row with the filter that leaves least, as the specification recommends for colours; indices are not filtered. */
function filterRows(
  data: Image['data'],
  rowBytes: number,
  unit: number,
  indexed: boolean,
): Uint8Array<ArrayBuffer> {
  const rows = data.length / rowBytes;
  const out = new Uint8Array(rows * (rowBytes + 1));
  const tried = new Uint8Array(rowBytes);
  for (let y = 0; y < rows; y++) {
    const from = y * rowBytes;
    const to = y * (rowBytes + 1);
    let least = Number.POSITIVE_INFINITY;
    for (const [type, predict] of predictors.entries()) {
      if (indexed && type > 0) break;
      let sum = 0;
      for (let i = 0; i < rowBytes; i++) {
        const left = i < unit ? 0 : (data[from + i - unit] ?? 0);
        const up = y === 0 ? 0 : (data[from + i - rowBytes] ?? 0);
        const corner = y === 0 || i < unit ? 0 : (data[from + i - rowBytes - unit] ?? 0);
        const rest = ((data[from + i] ?? 0) - predict(left, up, corner)) & 255;
        tried[i] = rest;
        sum += rest < 128 ? rest : 256 - rest;
      }
      if (sum >= least) continue;
      least = sum;
      out[to] = type;
      out.set(tried, to + 1);
    }
  }
  return out;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
