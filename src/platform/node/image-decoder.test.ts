import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as v from 'valibot';
import { pillow, seededImage, sha256 } from '../../../test/support/pillow.ts';
import { makePng } from '../../../test/support/png.ts';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { ImageError } from '../../errors.ts';
import { applyTransform } from '../../image/apply-transform.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import type { Image } from '../../image/image.ts';
import { resizeImage } from '../../image/resize.ts';
import { createRandom } from '../../tensor/random.ts';
import { createBrowserDecoder } from '../browser/image-decoder.ts';
import { createNodeDecoder } from './image-decoder.ts';

const absent = async (): Promise<never> => {
  throw new Error("Cannot find package 'sharp'\nfrom somewhere");
};

const portable = await createNodeDecoder({ decoder: 'portable' });
const installed = await createNodeDecoder();
const wasm = createRequire(import.meta.url).resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm');
const browser = createBrowserDecoder({ jpegWasm: await WebAssembly.compile(readFileSync(wasm)) });
const withoutSharp = installed.name === 'sharp' ? false : 'sharp is not installed';
const decoders: readonly ImageDecoder[] = withoutSharp ? [portable] : [installed, portable];

test('without sharp the portable decoder serves and says so; demanded, its absence is an error', async () => {
  const decoder = await createNodeDecoder({ importSharp: absent });
  assert.equal(decoder.name, 'portable');
  assert.equal(decoder.note, "sharp could not be loaded: Cannot find package 'sharp'");
  await assert.rejects(createNodeDecoder({ decoder: 'sharp', importSharp: absent }), /npm install sharp/);
  await assert.rejects(
    decoder.decode(Buffer.from('GIF89a'), { name: 'cat.gif' }),
    /cat\.gif: gif .*npm install sharp/,
  );
});

for (const decoder of [...decoders, browser]) {
  const where = decoder === browser ? 'browser' : decoder.name;
  test(`${where}: small JPEGs have Pillow's pixels, as stored and upright`, async () => {
    for (const [kind, jpeg] of Object.entries(pillow.jpeg)) {
      if (kind === 'cmyk' && decoder.name === 'portable') continue; // below
      const { base64, size, rgbSha256, uprightSize, uprightSha256 } = jpeg;
      const bytes = Buffer.from(base64, 'base64');
      const stored = await decoder.decode(bytes, { orientation: 'ignore' });
      assert.deepEqual([[stored.width, stored.height], sha256(stored.data)], [size, rgbSha256]);
      const upright = await decoder.decode(bytes);
      assert.deepEqual([[upright.width, upright.height], sha256(upright.data)], [uprightSize, uprightSha256]);
    }
  });
}

test('CMYK without sharp says what to do', async () => {
  const bytes = Buffer.from(pillow.jpeg.cmyk?.base64 ?? '', 'base64');
  await assert.rejects(portable.decode(bytes, { name: 'ink.jpg' }), /ink\.jpg: jpeg: CMYK .*"sharp"/);
});

for (const decoder of decoders) {
  test(`${decoder.name}: a JPEG cut anywhere is an error that names it, and the next one still decodes`, async () => {
    const bytes = Buffer.from(pillow.jpeg.progressive?.base64 ?? '', 'base64');
    for (let n = 0; n < bytes.length; n += n > bytes.length - 8 ? 1 : 7) {
      await assert.rejects(
        decoder.decode(bytes.subarray(0, n), { name: 'cut.jpg' }),
        (error) => error instanceof ImageError && error.message.startsWith('cut.jpg: '),
        `cut at ${n}`,
      );
    }
    const whole = await decoder.decode(bytes);
    assert.equal(sha256(whole.data), pillow.jpeg.progressive?.rgbSha256);
  });

  test(`${decoder.name}: scrambled JPEGs give an ImageError or a picture, and the next one decodes`, async () => {
    const random = createRandom(11);
    const whole = Buffer.from(pillow.jpeg.baseline?.base64 ?? '', 'base64');
    let refused = 0;
    for (let round = 0; round < 120; round++) {
      const bytes = Uint8Array.from(whole);
      for (let k = 0; k < 3; k++) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        const { width, height, data } = await decoder.decode(bytes, { maxPixels: 1e6 });
        assert.equal(data.length, width * height * 3);
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error));
        refused++;
      }
    }
    assert.ok(refused > 20 && refused < 120, `${refused}`);
    assert.equal(sha256((await decoder.decode(whole)).data), pillow.jpeg.baseline?.rgbSha256);
  });

  test(`${decoder.name}: pixel limits hold for JPEG and PNG`, async () => {
    const jpeg = Buffer.from(pillow.jpeg.baseline?.base64 ?? '', 'base64');
    await assert.rejects(decoder.decode(jpeg, { maxPixels: 272 }), /21×13 is 273 pixels, and at most 272/);
    assert.equal((await decoder.decode(jpeg, { maxPixels: 273 })).width, 21);
    const bomb = makePng({ width: 60_000, height: 60_000, deflated: new Uint8Array(10) });
    await assert.rejects(decoder.decode(bomb), /3600000000 pixels/);
    await assert.rejects(decoder.decode(bomb, { maxPixels: Number.POSITIVE_INFINITY }), ImageError);
  });
}

test('sharp reads the other formats, turns them by EXIF and limits them', {
  skip: withoutSharp,
}, async () => {
  const { default: sharp } = await import('sharp');
  const image = seededImage(8, 5, 1);
  const raw = sharp(image.data, { raw: { width: 8, height: 5, channels: 3 } });
  const files = {
    webp: await raw.clone().webp({ lossless: true }).toBuffer(),
    tiff: await raw.clone().tiff({ compression: 'none' }).toBuffer(),
    gif: await raw.clone().gif().toBuffer(),
    avif: await raw.clone().avif({ lossless: true }).toBuffer(),
  };
  for (const [format, bytes] of Object.entries(files)) {
    const decoded = await installed.decode(bytes);
    assert.deepEqual([decoded.width, decoded.height], [8, 5]);
    if (format === 'webp' || format === 'tiff') assert.equal(sha256(decoded.data), sha256(image.data));
    await assert.rejects(installed.decode(bytes, { maxPixels: 39 }), ImageError);
    await assert.rejects(installed.decode(bytes.subarray(0, 30), { name: format }), (error) =>
      String(error).includes(`${format}: `),
    );
  }
  const turned = await raw.clone().webp({ lossless: true }).withMetadata({ orientation: 6 }).toBuffer();
  assert.equal((await installed.decode(turned)).width, 5);
  assert.equal((await installed.decode(turned, { orientation: 'ignore' })).width, 8);
});

const apple = skipWithout('data', 'mobileone-s0-apple');
const corner = skipWithout('data', 'images-corner');

for (const decoder of decoders) {
  test(`${decoder.name}: apple.png becomes apple.bin bit for bit`, { skip: apple }, async () => {
    const image = await decoder.decode(readFileSync(golden('data', 'mobileone-s0-apple', 'apple.png')));
    const { shape, data } = applyTransform(image, evalTransforms.apple);
    assert.deepEqual(shape, [1, 224, 224, 3]);
    const expected = Uint8Array.from(readFileSync(golden('data', 'mobileone-s0-apple', 'apple.bin')));
    const nchw = new Uint32Array(expected.buffer);
    const bits = new Uint32Array(data.buffer);
    let different = 0;
    for (let p = 0; p < 224 * 224; p++) {
      for (let c = 0; c < 3; c++) if (bits[p * 3 + c] !== nchw[c * 224 * 224 + p]) different++;
    }
    assert.equal(different, 0);
  });
}

const photos = ['tabby_cat.jpg', 'bird.JPEG', 'demo.JPEG', 'dog.jpg', 'cat-dog.png'];
test('sharp and the portable decoder give the same photos', { skip: apple || withoutSharp }, async () => {
  for (const photo of photos) {
    const bytes = readFileSync(golden('data', 'mobileone-s0-apple', photo));
    const [a, b] = [await installed.decode(bytes), await portable.decode(bytes)];
    assert.deepEqual([a.width, a.height, sha256(a.data)], [b.width, b.height, sha256(b.data)], photo);
  }
});

test('all orientations show one upright picture', { skip: corner }, async () => {
  for (const decoder of decoders) {
    const upright: Image[] = [];
    for (let o = 0; o <= 8; o++) {
      const file = golden('data', 'images-corner', 'exif-orientation', `Landscape_${o}.jpg`);
      upright.push(await decoder.decode(readFileSync(file)));
    }
    const first = upright[1]?.data ?? new Uint8Array();
    for (const { width, height, data } of upright) {
      assert.deepEqual([width, height], [360, 240]);
      let total = 0;
      for (let i = 0; i < data.length; i++) total += Math.abs((first[i] ?? 0) - (data[i] ?? 0));
      assert.ok(total / data.length < 3);
    }
  }
});

const factsSchema = v.record(v.string(), v.object({ rgba8_sha256_agreed: v.nullish(v.string()) }));

/** Where sharp and Pillow agree and the portable decoder does otherwise: no arithmetic coding; other mending. */
const portableDiffers: Readonly<Record<string, 'error' | 'pixels'>> = {
  'libjpeg-turbo/testimgari.jpg': 'error',
  'jpeg-malformed/dc-predictor-overflow.jpg': 'pixels',
  'jpeg-malformed/subtract-with-overflow.jpg': 'pixels',
};

/** PNG colour types with alpha, and tRNS: the stated hash covers an alpha channel, which RGB does not keep. */
function hasAlpha(bytes: Buffer): boolean {
  const isPng = bytes.toString('latin1', 1, 4) === 'PNG';
  return isPng && ([4, 6].includes(bytes[25] ?? 0) || bytes.includes('tRNS'));
}

/** SHA-256 of the picture as RGBA, with the file's own alpha, which only sharp can tell; else opaque. */
async function rgbaSha256({ width, height, data }: Image, bytes: Buffer): Promise<string> {
  const out = new Uint8Array(width * height * 4);
  const alpha = hasAlpha(bytes) ? await readAlpha(bytes) : new Uint8Array(width * height).fill(255);
  for (let p = 0; p < width * height; p++) {
    out.set(data.subarray(p * 3, p * 3 + 3), p * 4);
    out[p * 4 + 3] = alpha[p] ?? 0;
  }
  return sha256(out);
}

async function readAlpha(bytes: Buffer): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const { data, info } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return data.filter((_, i) => i % info.channels === info.channels - 1);
}

for (const decoder of decoders) {
  test(`${decoder.name}: every corner case gives the stated pixels or an error`, {
    skip: corner,
  }, async () => {
    const text = readFileSync(golden('data', 'images-corner', 'FACTS.json'), 'utf8');
    const facts = v.parse(factsSchema, JSON.parse(text));
    let [stated, refused] = [0, 0];
    for (const [file, { rgba8_sha256_agreed: expected }] of Object.entries(facts)) {
      const bytes = readFileSync(golden('data', 'images-corner', file));
      const exception = decoder.name === 'portable' ? portableDiffers[file] : undefined;
      let image: Image;
      try {
        image = await decoder.decode(bytes, { name: file, orientation: 'ignore' });
      } catch (error) {
        assert.ok(error instanceof ImageError && error.message.startsWith(`${file}: `), String(error));
        assert.ok(!expected || exception === 'error', `${file} should decode: ${error.message}`);
        refused++;
        continue;
      }
      assert.equal(image.data.length, image.width * image.height * 3);
      if (!expected || (hasAlpha(bytes) && withoutSharp)) continue;
      assert.equal((await rgbaSha256(image, bytes)) === expected, exception === undefined, file);
      stated++;
    }
    assert.ok(stated > 150 && refused > 40, `${stated} with the stated pixels, ${refused} refused`);
  });
}

test('a short side that is asked for: large pictures come close to the exact resize, small ones stay exact', {
  skip: withoutSharp,
}, async () => {
  const { default: sharp } = await import('sharp');
  const noise = seededImage(12, 9, 3);
  const smooth = sharp(noise.data, { raw: { width: 12, height: 9, channels: 3 } }).resize(400, 300);
  const jpeg = await smooth.clone().withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
  const png = await smooth.png().toBuffer();
  for (const decoder of decoders)
    for (const [bytes, width, height] of [
      [jpeg, 60, 80],
      [png, 80, 60],
    ] as const) {
      const whole = await decoder.decode(bytes);
      const exact = resizeImage(whole, width, height, 'bilinear');
      const small = await decoder.decode(bytes, { shortSide: 60 });
      assert.deepEqual([small.width, small.height], [width, height]);
      let apart = 0;
      for (const [i, value] of small.data.entries()) apart += Math.abs(value - (exact.data[i] ?? 0));
      assert.ok(apart / small.data.length < 4, `${decoder.name}: ${apart / small.data.length}`);
      assert.deepEqual(await decoder.decode(bytes, { shortSide: 300 }), whole);
    }
  const ink = Buffer.from(pillow.jpeg.cmyk?.base64 ?? '', 'base64');
  const { width, height } = await installed.decode(ink, { shortSide: 5 });
  assert.equal(Math.min(width, height), 5);
});
