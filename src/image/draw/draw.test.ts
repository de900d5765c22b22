import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImageError } from '../../errors.ts';
import { classColours } from '../class-colours.ts';
import type { Image } from '../image.ts';
import { drawBoxes } from './draw-boxes.ts';
import { drawClasses } from './draw-classes.ts';
import { eachDot, fitText, textWidth } from './font.ts';

const dotsOf = (text: string): string => {
  const dots: string[] = [];
  eachDot(text, (column, row) => dots.push(`${column},${row}`));
  return dots.join(' ');
};

describe('font', () => {
  test('every printable ASCII letter has its own glyph, within its cell', () => {
    const seen = new Set<string>();
    for (let code = 33; code < 127; code++) {
      const dots = dotsOf(String.fromCharCode(code));
      assert.ok(dots.length > 0, String.fromCharCode(code));
      assert.match(dots, /^([0-4],[0-8] ?)+$/);
      seen.add(dots);
    }
    assert.equal(seen.size, 94);
    assert.equal(dotsOf(' '), '');
    assert.equal(dotsOf('L'), '0,0 0,1 0,2 0,3 0,4 0,5 0,6 1,6 2,6 3,6 4,6');
  });

  test('accents are left out, unknown letters are frames, long texts end early', () => {
    assert.equal(dotsOf('é'), dotsOf('e'));
    assert.equal(dotsOf('猫'), dotsOf('犬'));
    assert.equal(textWidth('abc'), 17);
    assert.equal(fitText('abc', 17), 'abc');
    assert.equal(fitText('abcdef', 29), 'abc..');
    assert.equal(fitText('abc', 3), '');
  });
});

const grey = (width: number, height: number): Image => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(90),
});
const pixel = ({ width, data }: Image, x: number, y: number): readonly number[] => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];

describe('drawBoxes', () => {
  const colours = classColours(4);

  test('a frame in the colour of the class, a tag above it, the rest and the given picture as they were', () => {
    const image = grey(480, 480);
    const box = { x: 100, y: 100, width: 200, height: 150 };
    const drawn = drawBoxes(image, [{ label: 2, className: 'star', score: 0.5, box }]);
    assert.deepEqual([drawn.width, drawn.height], [480, 480]);
    for (const [x, y] of [
      [100, 100],
      [299, 249],
      [101, 170],
      [200, 248],
    ] as const)
      assert.deepEqual(pixel(drawn, x, y), colours[2], `${x}, ${y}`);
    for (const [x, y] of [
      [110, 110],
      [200, 170],
      [90, 170],
      [200, 260],
      [400, 90],
    ] as const)
      assert.deepEqual(pixel(drawn, x, y), [90, 90, 90], `${x}, ${y}`);
    assert.deepEqual(pixel(drawn, 101, 98 - 2), colours[2]);
    const ink = (className: string): number => {
      const { data } = drawBoxes(image, [{ label: 2, className, box }]);
      return data.filter((value, i) => value === 0 && i % 3 === 0).length;
    };
    assert.equal(ink('ii') - ink('i'), ink('iii') - ink('ii'));
    assert.ok(image.data.every((value) => value === 90));
  });

  test('small pictures are enlarged; boxes at and beyond the edge are drawn as far as they go', () => {
    const boxes = [
      { label: 0, className: 'whole', score: 1, box: { x: 0, y: 0, width: 30, height: 20 } },
      { label: 1, className: 'beyond', score: 0.9, box: { x: -5, y: 12.4, width: 80, height: 50 } },
      {
        label: 3,
        className: 'a name that is too long for the picture by far, and more',
        box: { x: 29, y: 19, width: 0, height: 0 },
      },
    ];
    const drawn = drawBoxes(grey(30, 20), boxes, { leastSide: 100 });
    assert.deepEqual([drawn.width, drawn.height, drawn.data.length], [150, 100, 45_000]);
    assert.deepEqual(drawBoxes(grey(30, 20), [], { leastSide: 1 }).data, grey(30, 20).data);
  });

  test('of very many boxes only the surest are named, lest tags hide the picture; every frame is there', () => {
    const boxes = Array.from({ length: 400 }, (_, i) => ({
      ...{ label: 1, className: 'nucleus', score: (400 - i) / 400 },
      box: { x: 24 * (i % 20), y: 24 * Math.floor(i / 20), width: 16, height: 16 },
    }));
    const drawn = drawBoxes(grey(480, 480), boxes);
    let untouched = 0;
    for (let i = 0; i < drawn.data.length; i += 3) if (drawn.data[i] === 90) untouched++;
    assert.ok(untouched > 0.3 * 480 * 480, `${untouched} pixels`);
    // The last, least sure one.
    assert.deepEqual(pixel(drawn, 24 * 19, 24 * 19 + 8), colours[1]);
    assert.deepEqual(pixel(drawn, 24 * 19 + 8, 24 * 19 + 8), [90, 90, 90]);
  });

  test('tags of boxes in one place do not hide each other', () => {
    const box = { x: 100, y: 200, width: 90, height: 90 };
    const boxes = [0, 1, 2, 3].map((label) => ({ label, className: 'w', score: 0.9 - label / 10, box }));
    const drawn = drawBoxes(grey(480, 480), boxes);
    // The middle of a tag's left margin has its class's colour.
    const inks = new Set<string>();
    for (let y = 0; y < 480; y++) for (let x = 90; x < 200; x++) inks.add(pixel(drawn, x, y).join());
    for (const colour of colours) assert.ok(inks.has(colour.join()), colour.join());
  });
});

describe('drawClasses', () => {
  const classMap = Uint8Array.from({ length: 480 * 480 }, (_, i) => (i % 480 < 240 ? 0 : 1));
  const colours = classColours(2);
  const classes = ['ground', 'star'].map((className, label) => ({
    label,
    className,
    colour: colours[label] ?? assert.fail(),
    share: 0.5,
  }));
  const map = { width: 480, height: 480, classMap, classes };

  test('blends colours, outlines classes, leaves the background, adds a legend', () => {
    const drawn = drawClasses(grey(480, 480), map, { background: 0, opacity: 0.5 });
    assert.ok(drawn.width === 480 && drawn.height > 500 && drawn.data.length === 480 * drawn.height * 3);
    assert.deepEqual(pixel(drawn, 100, 100), [90, 90, 90]);
    const blended = (colours[1] ?? []).map((value) => Math.round(90 + (value - 90) / 2));
    assert.deepEqual(pixel(drawn, 400, 100), blended);
    assert.deepEqual(pixel(drawn, 242, 100), colours[1]);
    assert.deepEqual(pixel(drawn, 240, 100), [0, 0, 0]);
    const below = drawn.data.subarray(480 * 480 * 3);
    const has = (colour: readonly number[]): boolean =>
      below.some((_, i) => i % 3 === 0 && colour.every((value, c) => below[i + c] === value));
    assert.ok(has(colours[1] ?? []) && !has(colours[0] ?? []));
    assert.deepEqual(
      pixel(drawClasses(grey(480, 480), map), 100, 100),
      (colours[0] ?? []).map((v) => Math.round(90 + 0.55 * (v - 90))),
    );
  });

  test('a class map of another size is refused', () => {
    assert.throws(() => drawClasses(grey(480, 240), map), ImageError);
  });
});
