import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { Image } from '../../src/image/image.ts';
import { interpolations } from '../../src/image/resize.ts';

const pair = v.strictTuple([v.number(), v.number()]);
const schema = v.object({
  pillow: v.string(),
  cmykSha256: v.string(),
  resize: v.array(
    v.object({
      size: pair,
      out: pair,
      filter: v.picklist(interpolations),
      seed: v.number(),
      extreme: v.boolean(),
      start: v.array(v.number()),
      sha256: v.string(),
    }),
  ),
  jpeg: v.record(
    v.string(),
    v.object({
      base64: v.string(),
      size: pair,
      rgbSha256: v.string(),
      uprightSize: pair,
      uprightSha256: v.string(),
    }),
  ),
});

const file = new URL('../../../src/image/fixtures/pillow.json', import.meta.url);

/** What Pillow made of small seeded pictures; `src/image/fixtures/make-pillow-fixture.py` writes it. */
export const pillow = v.parse(schema, JSON.parse(readFileSync(file, 'utf8')));

export const sha256 = (data: Uint8Array | Uint8ClampedArray): string =>
  createHash('sha256').update(data).digest('hex');

/** The fixture script's seeded picture. */
export function seededImage(width: number, height: number, seed: number, extreme = false): Image {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return extreme ? (state >>> 31) * 255 : state >>> 24;
  });
  return { width, height, data };
}
