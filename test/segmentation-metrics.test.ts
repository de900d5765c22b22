import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { decodePng } from '../src/image/png.ts';
import { countPixels, pixelConfusion, segmentationScores } from '../src/metrics/segmentation/confusion.ts';
import { golden, skipWithout } from './support/shared.ts';

interface Expected {
  readonly num_classes: number;
  readonly ignore_index: number;
  readonly confusion_rows_gt_cols_pred: readonly (readonly number[])[];
  readonly iou: readonly (number | null)[];
  readonly mIoU: number;
  readonly class_accuracy: readonly (number | null)[];
  readonly mean_accuracy: number;
  readonly pixel_accuracy: number;
  readonly fwIoU: number;
}

describe('segmentation scores equal the stated ones', {
  skip: skipWithout('data', 'golden-seg-miou'),
}, () => {
  for (const set of ['nuclei', 'nuts'])
    test(set, async () => {
      const folder = (...parts: string[]): string => golden('data', 'golden-seg-miou', set, ...parts);
      const expected = JSON.parse(readFileSync(folder('expected.json'), 'utf8')) as Expected;
      const confusion = pixelConfusion(expected.num_classes);
      const indices = async (file: string): Promise<Uint8Array> => {
        const { data } = await decodePng(readFileSync(file));
        return Uint8Array.from({ length: data.length / 3 }, (_, i) => data[3 * i] ?? 255);
      };
      for (const file of readdirSync(folder('gt')))
        countPixels(
          confusion,
          await indices(folder('gt', file)),
          await indices(folder('pred', file)),
          expected.ignore_index,
        );
      assert.deepEqual([...confusion.counts], expected.confusion_rows_gt_cols_pred.flat());
      const scores = segmentationScores(confusion);
      const pairs: readonly (readonly [number | null | undefined, number | null])[] = [
        [scores.meanIou, expected.mIoU],
        [scores.meanAccuracy, expected.mean_accuracy],
        [scores.pixelAccuracy, expected.pixel_accuracy],
        [scores.weightedIou, expected.fwIoU],
        ...expected.iou.map((value, i) => [scores.iou[i], value] as const),
        ...expected.class_accuracy.map((value, i) => [scores.classAccuracy[i], value] as const),
      ];
      for (const [found, wanted] of pairs)
        assert.ok(
          found === wanted || Math.abs((found ?? 9) - (wanted ?? 0)) < 1e-12,
          `${found}, expected ${wanted}`,
        );
    });
});

describe('classes that are nowhere', () => {
  const confusion = pixelConfusion(3);
  countPixels(confusion, [0, 0, 1, 255, 1], [0, 1, 1, 2, 1]);
  test('the three conventions', () => {
    // IoU: class 0 1/2, class 1 2/3, class 2 absent.
    assert.deepEqual(segmentationScores(confusion).iou, [1 / 2, 2 / 3, null]);
    assert.equal(segmentationScores(confusion, 'skip').meanIou, (1 / 2 + 2 / 3) / 2);
    assert.equal(segmentationScores(confusion, 'zero').meanIou, (1 / 2 + 2 / 3) / 3);
    assert.ok(Number.isNaN(segmentationScores(confusion, 'undefined').meanIou));
  });
  test('a predicted class that does not exist is refused', () => {
    assert.throws(() => countPixels(pixelConfusion(2), [0], [2]), /must be 0 … 1, found 2 at pixel 0/);
  });
});
