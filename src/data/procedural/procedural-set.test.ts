import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../errors.ts';
import { drawScene } from './draw-scene.ts';
import { proceduralSet } from './procedural-set.ts';
import type { Scene } from './scene.ts';
import { shapeDistance, shapeKinds } from './shapes.ts';

const many = proceduralSet({ count: 40, seed: 5, width: 72, height: 56, objects: [1, 6] });
const scenes: readonly Scene[] = Array.from({ length: many.length }, (_, i) => many.scene(i));

const countOf = (mask: Uint8Array, value: number): number => mask.filter((one) => one === value).length;

describe('procedural scenes', () => {
  test('the same seed draws the same, another another', () => {
    const again = proceduralSet({ count: 40, seed: 5, width: 72, height: 56, objects: [1, 6] });
    assert.deepEqual(again.scene(17), scenes[17]);
    assert.notDeepEqual(many.scene(16).image, scenes[17]?.image);
    const other = proceduralSet({ count: 40, seed: 6, width: 72, height: 56, objects: [1, 6] });
    assert.notDeepEqual(other.scene(17).image, scenes[17]?.image);
  });

  test('masks, boxes, areas and labels tell the same', () => {
    for (const { objects, classMask, instanceMask, label, image } of scenes) {
      assert.equal(image.data.length, 72 * 56 * 3);
      assert.ok(objects.length >= 1);
      assert.equal(countOf(instanceMask, 0), countOf(classMask, 0));
      for (const [i, { box, area, label: own }] of objects.entries()) {
        const places = Array.from(instanceMask.keys()).filter((place) => instanceMask[place] === i + 1);
        assert.equal(area, places.length);
        const xs = places.map((place) => place % 72);
        const ys = places.map((place) => Math.floor(place / 72));
        assert.deepEqual([box.x, box.y], [Math.min(...xs), Math.min(...ys)]);
        assert.deepEqual([box.x + box.width - 1, box.y + box.height - 1], [Math.max(...xs), Math.max(...ys)]);
        for (const place of places) assert.equal(classMask[place], own + 1);
      }
      assert.equal(Math.max(...instanceMask), objects.length);
      const largest = Math.max(...objects.map(({ area }) => area));
      assert.equal(objects.find(({ area }) => area === largest)?.label, label);
    }
    assert.ok(scenes.some(({ objects }) => objects.length === 6));
  });

  test('one object a picture gives balanced labels; kinds can be chosen', () => {
    const set = proceduralSet({
      count: 12,
      seed: 1,
      width: 32,
      height: 32,
      kinds: ['star', 'ring', 'heart'],
    });
    assert.deepEqual(set.classNames, ['star', 'ring', 'heart']);
    const labels = Array.from({ length: 12 }, (_, i) => set.scene(i).label);
    assert.deepEqual(labels, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test('an object covers what its shape covers, where no bar hides it', () => {
    const { objects, instanceMask } = drawScene({
      width: 200,
      height: 200,
      seed: 3,
      kinds: ['circle'],
      occluders: 0,
    });
    const [object] = objects;
    assert.ok(object);
    // A disc that lies inside: the area follows from the box.
    const inside = object.box.x > 0 && object.box.y > 0 && object.box.x + object.box.width < 200;
    assert.ok(inside, 'seed 3 draws the disc inside the picture');
    const area = (Math.PI / 4) * object.box.width * object.box.height;
    assert.ok(Math.abs(object.area / area - 1) < 0.02);
    assert.equal(countOf(instanceMask, 1), object.area);
  });

  test('every shape reaches about its radius and has its area', () => {
    // Exact areas at radius 1, from each shape's definition; crescent and heart by their outlines' bounds.
    const sine = Math.sin(Math.PI / 5);
    const bounds: Readonly<Record<string, readonly [number, number]>> = {
      circle: [Math.PI * 0.81, Math.PI * 0.81],
      square: [2 * 1.08 ** 2, 2 * 1.08 ** 2],
      triangle: [(3 * Math.sqrt(3) * 1.1 ** 2) / 4, (3 * Math.sqrt(3) * 1.1 ** 2) / 4],
      star: [5 * 1.1 * 0.45 * sine, 5 * 1.1 * 0.45 * sine],
      ring: [Math.PI * (0.95 ** 2 - 0.25), Math.PI * (0.95 ** 2 - 0.25)],
      cross: [4 * 0.6 - 0.36, 4 * 0.6 - 0.36],
      crescent: [0.9, 1.7],
      heart: [2, 2.5],
    };
    for (const kind of shapeKinds) {
      const distance = shapeDistance({ kind, x: 0, y: 0, radius: 100, rotation: 0.7 });
      let area = 0;
      for (let y = -120; y < 120; y++) for (let x = -120; x < 120; x++) if (distance(x, y) < 0) area++;
      const [least, most] = bounds[kind] ?? [0, 0];
      assert.ok(area / 1e4 > 0.99 * least && area / 1e4 < 1.01 * most, `${kind}: ${area / 1e4}`);
      for (let turn = 0; turn < 32; turn++)
        assert.ok(distance(120 * Math.cos(turn), 120 * Math.sin(turn)) > 0, `${kind} stays within 1.2 radii`);
    }
  });

  test('what cannot be drawn is refused', () => {
    const size = { width: 32, height: 32, seed: 1 };
    assert.throws(() => drawScene({ ...size, width: 0 }), /width and height/);
    assert.throws(() => drawScene({ ...size, objects: [0, 3] }), UsageError);
    assert.throws(() => drawScene({ ...size, objects: [4, 3] }), UsageError);
    assert.throws(() => drawScene({ ...size, kinds: [] }), UsageError);
    assert.throws(() => drawScene({ ...size, label: 8 }), UsageError);
    assert.throws(() => drawScene({ ...size, radius: [0.3, 0.6] }), UsageError);
    assert.throws(() => proceduralSet({ ...size, count: 1.5 }), UsageError);
    assert.throws(() => many.scene(40), UsageError);
  });
});
