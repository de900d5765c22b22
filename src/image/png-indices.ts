import { ImageError } from '../errors.ts';
import type { IndexMap } from './index-map.ts';
import { passColumns, passRowBytes, passRows, readPngRows, unpack } from './png-rows.ts';

/**
 * The numbers a grey or palette PNG stores, neither looked up in the palette nor stretched to 0–255: what masks hold.
 * @throws ImageError for a damaged file, one with colours or alpha instead of numbers, or more than 8 bits a pixel
 */
export async function decodePngIndices(bytes: Uint8Array): Promise<IndexMap> {
  const { header, passes, raw } = await readPngRows(bytes);
  const { width, height, colourType, depth } = header;
  if ((colourType !== 0 && colourType !== 3) || depth > 8)
    throw new ImageError(
      `a mask must be a grey or palette PNG of at most 8 bits a pixel, found colour type ${colourType} with ${depth} bits; ` +
        'convert colours to class numbers first.',
      { colourType, depth },
    );
  const data = new Uint8Array(width * height);
  let at = 0;
  for (const pass of passes) {
    const [rows, rowBytes] = [passRows(header, pass), passRowBytes(header, pass)];
    const scratch = new Uint8Array(passColumns(header, pass));
    for (let r = 0; r < rows; r++, at += rowBytes + 1) {
      const samples = unpack(raw.subarray(at + 1, at + 1 + rowBytes), depth, false, scratch);
      let o = (pass.y + r * pass.dy) * width + pass.x;
      for (let i = 0; i < scratch.length; i++, o += pass.dx) data[o] = samples[i] ?? 0;
    }
  }
  return { width, height, data };
}
