import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededImage } from '../../../test/support/pillow.ts';
import { ImageError } from '../../errors.ts';
import { normalizationTables, normalizeInto } from '../../image/apply-transform.ts';
import { evalTransforms } from '../../image/eval-transform.ts';
import { toPicture } from './to-picture.ts';

for (const name of ['apple', 'mmpretrain', 'corenet'] as const)
  test(`a row of a batch comes back as the picture it was (${name})`, () => {
    const normalization = evalTransforms[name];
    const pictures = [seededImage(16, 16, 1), seededImage(16, 16, 2, true)];
    const images = new Float32Array(2 * 768);
    for (const [row, picture] of pictures.entries())
      normalizeInto(picture, normalizationTables(normalization), images, row * 768);
    const batch = { images, height: 16, width: 16, normalization };
    for (const row of [0, 1]) assert.deepEqual(toPicture(batch, row), pictures[row]);
    for (const row of [-1, 2, 0.5]) assert.throws(() => toPicture(batch, row), ImageError);
  });
