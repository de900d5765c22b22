import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { seededImage } from '../../test/support/pillow.ts';
import { makePng, pngChunk } from '../../test/support/png.ts';
import { createRandom } from '../tensor/random.ts';
import { sniffFormat } from './codec.ts';
import { createPortableDecoder } from './portable-decoder.ts';

const decoder = createPortableDecoder({ advice: 'None.' });
const name = 'x.png';
const isImageError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'image' && error.message.startsWith('x.png: ');

/** Rows of RGB bytes behind filter number `f`; the inverse of what a decoder does. */
function filterRows(data: Uint8Array, rowBytes: number, f: (y: number) => number): Uint8Array {
  const rows = data.length / rowBytes;
  const out = new Uint8Array(data.length + rows);
  const at = (y: number, i: number): number => (y < 0 || i < 0 ? 0 : (data[y * rowBytes + i] ?? 0));
  for (let y = 0; y < rows; y++) {
    const filter = f(y);
    out[y * (rowBytes + 1)] = filter;
    for (let i = 0; i < rowBytes; i++) {
      const [left, up, corner] = [at(y, i - 3), at(y - 1, i), i < 3 ? 0 : at(y - 1, i - 3)];
      const p = left + up - corner;
      const distances = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      const paeth = [left, up, corner][distances.indexOf(Math.min(...distances))] ?? 0;
      const predicted = [0, left, up, (left + up) >> 1, paeth][filter] ?? 0;
      out[y * (rowBytes + 1) + 1 + i] = at(y, i) - predicted;
    }
  }
  return out;
}

test('all five row filters are undone', async () => {
  const image = seededImage(13, 25, 2);
  for (let round = 0; round < 5; round++) {
    const rows = filterRows(Uint8Array.from(image.data), 39, (y) => (y + round) % 5);
    const decoded = await decoder.decode(makePng({ width: 13, height: 25, rows }), { name });
    assert.deepEqual(decoded, image);
  }
});

test('a palette index past the end is black', async () => {
  const before = [pngChunk('PLTE', Uint8Array.of(10, 20, 30))];
  const png = makePng({
    width: 2,
    height: 1,
    depth: 4,
    colourType: 3,
    rows: Uint8Array.of(0, 0x0f),
    before,
  });
  assert.deepEqual([...(await decoder.decode(png)).data], [10, 20, 30, 0, 0, 0]);
});

test('EXIF in a PNG turns it, unless told not to', async () => {
  const exif = Uint8Array.of(
    77,
    77,
    0,
    42,
    0,
    0,
    0,
    8,
    0,
    1,
    1,
    0x12,
    0,
    3,
    0,
    0,
    0,
    1,
    0,
    6,
    0,
    0,
    0,
    0,
    0,
    0,
  );
  const rows = Uint8Array.of(0, 1, 1, 1, 2, 2, 2);
  const png = makePng({ width: 2, height: 1, rows, before: [pngChunk('eXIf', exif)] });
  const turned = await decoder.decode(png);
  assert.deepEqual([turned.width, turned.height, ...turned.data], [1, 2, 1, 1, 1, 2, 2, 2]);
  const stored = await decoder.decode(png, { orientation: 'ignore' });
  assert.deepEqual([stored.width, stored.height], [2, 1]);
});

test('a bomb is refused by its header, and the limit can be moved', async () => {
  const bomb = makePng({ width: 30_000, height: 30_000, deflated: deflateSync(Buffer.alloc(1000)) });
  await assert.rejects(
    decoder.decode(bomb, { name }),
    (error) => isImageError(error) && /900000000 pixels, and at most 89478485/.test(String(error)),
  );
  const small = makePng({ width: 10, height: 10 });
  await assert.rejects(decoder.decode(small, { name, maxPixels: 99 }), /10×10 is 100 pixels, and at most 99/);
  for (const maxPixels of [100, Number.POSITIVE_INFINITY])
    assert.equal((await decoder.decode(small, { maxPixels })).width, 10);
  await assert.rejects(
    decoder.decode(makePng({ width: 0, height: 3 }), { name }),
    (e) => isImageError(e) && /0×3/.test(String(e)),
  );
});

test('a small picture with a huge compressed stream is not expanded past its size', async () => {
  const deflated = deflateSync(Buffer.alloc(50_000_000));
  const Native = globalThis.DecompressionStream;
  let expanded = 0;
  const count = () =>
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, out) {
        expanded += piece.length;
        out.enqueue(piece);
      },
    });
  globalThis.DecompressionStream = class extends Native {
    override get readable() {
      return super.readable.pipeThrough(count());
    }
  };
  try {
    const image = await decoder.decode(makePng({ width: 1, height: 1, deflated }));
    assert.deepEqual([...image.data], [0, 0, 0]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    globalThis.DecompressionStream = Native;
  }
  assert.ok(expanded >= 4 && expanded < 1_000_000, `${expanded} bytes expanded`);
});

test('cut at every byte: an error that names the file, or the whole picture', async () => {
  const image = seededImage(9, 7, 3);
  const rows = filterRows(Uint8Array.from(image.data), 27, (y) => y % 5);
  const png = makePng({ width: 9, height: 7, rows });
  for (let n = 0; n <= png.length; n++) {
    const cut = decoder.decode(png.subarray(0, n), { name });
    if (n >= png.length - 12)
      assert.deepEqual(await cut, image); // all of IDAT is there
    else await assert.rejects(cut, isImageError);
  }
});

test('flipped bytes give an error or a picture of the stated size, never anything else', async () => {
  const random = createRandom(7);
  const png = makePng({ width: 9, height: 7, rows: filterRows(new Uint8Array(27 * 7), 27, (y) => y % 5) });
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = Uint8Array.from(png);
    bytes[random.integer(bytes.length)] = random.integer(256);
    try {
      const { width, height, data } = await decoder.decode(bytes, { name });
      assert.equal(data.length, width * height * 3);
    } catch (error) {
      assert.ok(isImageError(error), String(error));
      refused++;
    }
  }
  assert.ok(refused > 200);
});

test('what is wrong is said', async () => {
  const cases: [Parameters<typeof makePng>[0], RegExp][] = [
    [{ width: 4, height: 4, depth: 4 }, /colour type 2 with 4 bits/],
    [{ width: 4, height: 4, interlace: 2 }, /interlace 2/],
    [{ width: 4, height: 4, colourType: 3 }, /without a PLTE/],
    [
      { width: 4, height: 4, colourType: 3, before: [pngChunk('PLTE', new Uint8Array(4))] },
      /PLTE has 4 bytes/,
    ],
    [{ width: 4, height: 4, rows: new Uint8Array(20) }, /ends after 20 of 52 bytes/],
    [{ width: 1, height: 1, rows: Uint8Array.of(5, 0, 0, 0) }, /filter 5/],
    [{ width: 1, height: 1, deflated: Uint8Array.of(1, 2, 3) }, /damaged after 0 of 4 bytes/],
  ];
  for (const [parts, message] of cases)
    await assert.rejects(
      decoder.decode(makePng(parts), { name }),
      (e) => isImageError(e) && message.test(String(e)),
    );
  const damaged = makePng({ width: 4, height: 4 });
  damaged[44] = (damaged[44] ?? 0) ^ 1;
  await assert.rejects(decoder.decode(damaged, { name }), /chunk "IDAT" at byte 33 is damaged/);
});

test('formats are told by their first bytes', async () => {
  const named: [string, string | undefined][] = [
    ['\xff\xd8\xff', 'jpeg'],
    ['GIF89a', 'gif'],
    ['RIFF\0\0\0\0WEBP', 'webp'],
    ['\0\0\0\x1cftypmif1\0\0\0\0mif1avif', 'avif'],
    ['\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'heic'],
    ['MM\0*', 'tiff'],
    ['BM', 'bmp'],
    ['<svg', undefined],
    ['', undefined],
  ];
  for (const [start, format] of named) assert.equal(sniffFormat(Buffer.from(start, 'latin1')), format);
  await assert.rejects(
    decoder.decode(Buffer.from('GIF89a'), { name: 'a.gif' }),
    /a\.gif: gif files cannot be read here; the portable decoder reads jpeg, png\. None\./,
  );
  await assert.rejects(decoder.decode(new Uint8Array(), { name }), /x\.png: .*it is empty/);
});
