import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededImage } from '../../test/support/pillow.ts';
import { ImageError } from '../errors.ts';
import { contactSheet } from './contact-sheet.ts';
import { cropImage } from './crop.ts';

test('pictures of different sizes lie in rows, with white between', () => {
  const pictures = [seededImage(5, 4, 1), seededImage(3, 6, 2), seededImage(5, 6, 3)];
  const sheet = contactSheet(pictures, 2);
  assert.deepEqual([sheet.width, sheet.height], [4 + 2 * 9, 4 + 2 * 10]);
  const at = (x: number, y: number, n: number) => {
    const { width, height } = pictures[n] ?? { width: 0, height: 0 };
    return cropImage(sheet, { x, y, width, height }).data;
  };
  assert.deepEqual(at(4, 4, 0), pictures[0]?.data);
  assert.deepEqual(at(13, 4, 1), pictures[1]?.data);
  assert.deepEqual(at(4, 14, 2), pictures[2]?.data);
  assert.ok(cropImage(sheet, { x: 0, y: 0, width: 22, height: 4 }).data.every((byte) => byte === 255));
  assert.equal(contactSheet(pictures, 9).width, 4 + 3 * 9);
  for (const columns of [0, 1.5]) assert.throws(() => contactSheet(pictures, columns), ImageError);
  assert.throws(() => contactSheet([], 1), ImageError);
});
