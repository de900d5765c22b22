import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makePng } from '../../../test/support/png.ts';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { DataError } from '../../errors.ts';
import { IGNORE } from '../../image/index-map.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import { boxIou } from '../../metrics/detection/box.ts';
import { encodeMask, maskArea, maskBox } from '../../metrics/detection/mask-rle.ts';
import { folderFiles } from '../../platform/node/folder-files.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { memoryFiles } from '../files.ts';
import { writeClassTargets } from './class-targets.ts';
import { openAnnotated } from './open-annotated.ts';
import { drawMask, maskRuns, readJointSample } from './read-joint.ts';

describe('class targets', () => {
  test('one 1 a pixel, zeros where ignored, in the row asked for', () => {
    const targets = new Float32Array(2 * 4 * 3).fill(7);
    const mask = { width: 2, height: 2, data: Uint8Array.of(0, 2, IGNORE, 1) };
    writeClassTargets(mask, 3, targets, 1);
    assert.ok(targets.subarray(0, 12).every((value) => value === 7));
    assert.deepEqual([...targets.subarray(12)], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    writeClassTargets(mask, 3, targets, 1, [0.5, 2, 4]);
    assert.deepEqual([...targets.subarray(12)], [0.5, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0]);
  });

  test('a class that is none, and a row that is not there, are refused', () => {
    const mask = { width: 2, height: 1, data: Uint8Array.of(0, 3) };
    assert.throws(() => writeClassTargets(mask, 3, new Float32Array(6), 0), /pixel 1, 0 has class 3 of 3/);
    assert.throws(() => writeClassTargets(mask, 4, new Float32Array(6), 0), DataError);
  });
});

test('a class mask is read through its coding; what is no class is ignored', async () => {
  const rows = Uint8Array.of(0, 0, 1, 0, 255, 9);
  const files = memoryFiles(
    'set',
    new Map<string, Uint8Array>([
      ['images/a.png', makePng({ width: 2, height: 2 })],
      ['masks/a.png', makePng({ width: 2, height: 2, colourType: 0, rows })],
      ['masks/b.png', makePng({ width: 1, height: 1, colourType: 0, rows: Uint8Array.of(0, 1) })],
      ['classes.txt', new TextEncoder().encode('sky\nroad')],
    ]),
  );
  const decoder = createPortableDecoder({ advice: '' });
  const { train } = await openAnnotated(files, decoder, { holdOut: 0 });
  const [sample] = train.samples;
  assert.ok(sample);
  const joint = await readJointSample(train, sample, decoder);
  assert.deepEqual([...(joint.classMask?.data ?? [])], [0, 1, IGNORE, IGNORE]);
  const other = { ...sample, target: { ...sample.target, classMask: 'masks/b.png' } };
  await assert.rejects(readJointSample(train, other, decoder), /masks\/b\.png: the mask is 1×1/);
});

test('masks of real objects fill their boxes', { skip: skipWithout('data', 'coco-mini-cc') }, async () => {
  const decoder = await createNodeDecoder();
  const files = folderFiles(golden('data', 'coco-mini-cc'));
  const { train } = await openAnnotated(files, decoder, { holdOut: 0 });
  for (const sample of train.samples.slice(0, 20)) {
    const { size, objects } = sample.target;
    assert.ok(size);
    for (const { mask, box, area, where } of objects) {
      if (!mask) continue;
      const runs = maskRuns(mask, size);
      const drawn = drawMask(mask, size);
      assert.deepEqual(encodeMask(drawn.data, drawn.height, drawn.width), runs);
      if (area < 32 * 32) continue; // COCO's small ones: a pixel of rounding is a large share
      // Outlines may end in tips thinner than a pixel, which no mask has.
      const common = boxIou(maskBox(runs), box);
      assert.ok(common > 0.9, `${where}: ${maskBox(runs)}, box ${box}`);
      assert.ok(Math.abs(maskArea(runs) - area) <= 0.1 * area, `${where}: ${maskArea(runs)}, said ${area}`);
    }
  }
  const crowded = train.samples.find(({ target }) => target.objects.some(({ crowd }) => crowd));
  assert.ok(crowded);
  const joint = await readJointSample(train, crowded, decoder, { objectMasks: true });
  for (const { mask } of joint.objects)
    assert.deepEqual([mask?.width, mask?.height], [joint.image.width, joint.image.height]);
});
