import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShapeError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import {
  type AnchorTargetStyle,
  anchorTargets,
  type TargetObject,
  writeAnchorTargets,
} from './anchor-targets.ts';
import { anchorBoxes, anchorStyles } from './anchors.ts';
import { ssdAssignRule } from './assign.ts';
import { boxCoders, decodeBoxes } from './box-coder.ts';
import { overlap } from './nms.ts';

const style: AnchorTargetStyle = { assign: ssdAssignRule, coder: boxCoders.torchvision, background: 0 };
const anchors = anchorBoxes(
  anchorStyles.torchvision(320),
  [20, 10, 5, 3, 2, 1].map((n) => [n, n] as const),
  [320, 320],
);
const count = anchors.length / 4;

const drawn = (seed: number): TargetObject[] => {
  const random = createRandom(seed);
  return Array.from({ length: 1 + random.integer(6) }, () => {
    const [width, height] = [10 + random.uniform() * 200, 10 + random.uniform() * 200];
    const [x, y] = [random.uniform() * (320 - width), random.uniform() * (320 - height)];
    return { category: random.integer(5), box: [x, y, width, height], crowd: false };
  });
};

test('offsets decode to the object of the label; labels are background elsewhere, every object has an anchor', () => {
  const targets = anchorTargets(8, anchors);
  const decoded = new Float32Array(anchors.length);
  for (let image = 0; image < 8; image++) {
    const objects = drawn(image);
    writeAnchorTargets(style, anchors, objects, targets, image);
    decodeBoxes(
      style.coder,
      anchors,
      targets.offsets.subarray(image * 4 * count, (image + 1) * 4 * count),
      decoded,
    );
    const found = new Set<number>();
    for (let anchor = 0; anchor < count; anchor++) {
      const label = targets.labels[image * count + anchor] ?? Number.NaN;
      const near = objects.findIndex(
        ({ category, box: [x, y, w, h] }) =>
          [x, y, x + w, y + h].every((side, i) => Math.abs(side - (decoded[4 * anchor + i] ?? 0)) < 0.01) &&
          category + 1 === label,
      );
      if (label > 0) assert.ok(near >= 0, `anchor ${anchor} of picture ${image}`);
      if (label > 0) found.add(near);
      else {
        assert.equal(label, 0);
        for (const {
          box: [x, y, w, h],
        } of objects)
          assert.ok(overlap(anchors, anchor, 0, Float32Array.of(x, y, x + w, y + h)) < 0.5);
      }
    }
    assert.equal(found.size, objects.length);
  }
});

test('a row is written anew and others stay', () => {
  const [targets, again] = [anchorTargets(2, anchors), anchorTargets(2, anchors)];
  writeAnchorTargets(style, anchors, drawn(1), targets, 0);
  writeAnchorTargets(style, anchors, drawn(2), targets, 1);
  writeAnchorTargets(style, anchors, drawn(3), again, 1);
  writeAnchorTargets(style, anchors, drawn(2), again, 1);
  writeAnchorTargets(style, anchors, drawn(1), again, 0);
  assert.deepEqual(again, targets);
});

test('a background in the last place keeps the categories; crowds count as nothing', () => {
  const targets = anchorTargets(1, anchors);
  const last = { ...style, background: 5 };
  const box = [100, 100, 90, 90] as const;
  writeAnchorTargets(last, anchors, [{ category: 4, box, crowd: false }], targets, 0);
  assert.deepEqual([...new Set(targets.labels)].sort(), [4, 5]);
  writeAnchorTargets(last, anchors, [{ category: 4, box: [0, 0, 320, 320], crowd: true }], targets, 0);
  // Anchors that reach far over the edge are less than half inside.
  assert.ok(targets.labels.every((label) => label === -1 || label === 5));
  assert.ok(targets.labels.filter((label) => label === -1).length > count / 2);
  assert.ok(targets.offsets.every((offset) => offset === 0));
});

test('rows that are not there and boxes without an area are refused', () => {
  const targets = anchorTargets(1, anchors);
  assert.throws(() => writeAnchorTargets(style, anchors, [], targets, 1), ShapeError);
  const flat: TargetObject = { category: 0, box: [5, 5, 0, 5], crowd: false };
  assert.throws(() => writeAnchorTargets(style, anchors, [flat], targets, 0), ShapeError);
});
