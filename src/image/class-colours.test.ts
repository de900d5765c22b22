import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classColours, colourDistance, inkOn } from './class-colours.ts';

test('colours keep apart for any kind of colour vision, and keep their labels', () => {
  const many = classColours(150);
  const closest = (count: number): number => {
    const colours = classColours(count);
    return Math.min(...colours.flatMap((a, i) => colours.slice(i + 1).map((b) => colourDistance(a, b))));
  };
  assert.deepEqual(classColours(7), many.slice(0, 7));
  assert.equal(many.length, 150);
  assert.ok(closest(7) > 15, `7: ${closest(7)}`);
  assert.ok(closest(20) > 10, `20: ${closest(20)}`);
  assert.ok(closest(80) > 3, `80: ${closest(80)}`);
});

test('distance is 100 from black to white, and ink is what contrasts', () => {
  assert.ok(Math.abs(colourDistance([0, 0, 0], [255, 255, 255]) - 100) < 0.01);
  assert.deepEqual(inkOn([240, 228, 66]), [0, 0, 0]);
  assert.deepEqual(inkOn([0, 60, 120]), [255, 255, 255]);
});
