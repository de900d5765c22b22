import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ShapeError } from '../errors.ts';
import {
  convGeometry,
  formatGeometry,
  type GeometryOptions,
  isCentred,
  isUnitStride,
  pointGeometry,
  windowOutputSize,
} from './geometry.ts';

describe('ConvGeometry', () => {
  test('padding is centred unless given, and numbers stand for both axes', () => {
    const geometry = convGeometry({ kernel: [3, 5], dilation: [2, 3] });
    assert.deepEqual(geometry, {
      kernel: [3, 5],
      stride: [1, 1],
      dilation: [2, 3],
      padding: [2, 6, 2, 6],
      groups: 1,
    });
    assert.ok(isCentred(geometry));
    assert.deepEqual(convGeometry({ kernel: 3, padding: 2 }).padding, [2, 2, 2, 2]);
    assert.deepEqual(convGeometry({ kernel: 3, padding: [1, 2] }).padding, [1, 2, 1, 2]);
    assert.deepEqual(convGeometry({ kernel: 3, padding: [1, 2, 3, 4] }).padding, [1, 2, 3, 4]);
  });

  test('centred padding keeps the size at stride 1 for odd kernels at any dilation, and rounds it up otherwise', () => {
    for (const kernel of [1, 3, 5, 7])
      for (const dilation of [1, 2, 3, 4])
        for (const stride of [1, 2, 3]) {
          const geometry = convGeometry({ kernel, dilation, stride });
          assert.ok(isCentred(geometry));
          for (const size of [1, 2, 7, 12])
            assert.deepEqual(windowOutputSize(geometry, size, size + 1), [
              Math.ceil(size / stride),
              Math.ceil((size + 1) / stride),
            ]);
        }
  });

  test('an even kernel cannot be centred at odd dilation', () => {
    assert.ok(!isCentred(convGeometry({ kernel: 2 })));
    assert.ok(isCentred(convGeometry({ kernel: 2, dilation: 2 })));
    assert.ok(!isCentred(convGeometry({ kernel: 3, padding: [1, 1, 1, 2] })));
    assert.ok(!isCentred(convGeometry({ kernel: 3, padding: [1, 0] })));
    assert.ok(!isCentred(convGeometry({ kernel: 3, dilation: 2, padding: 1 })));
  });

  test('output size counts the places a window fits, and is not positive when it fits nowhere', () => {
    const places = (size: number, before: number, after: number, reach: number, stride: number): number => {
      let count = 0;
      for (let at = -before; at + reach < size + after; at += stride) count++;
      return count;
    };
    for (const kernel of [1, 2, 3, 4])
      for (const stride of [1, 2, 3])
        for (const dilation of [1, 2])
          for (const [before, after] of [
            [0, 0],
            [0, 2],
            [3, 1],
          ] as const)
            for (const size of [1, 4, 9]) {
              const padding = [before, 0, after, 0] as const;
              const geometry = convGeometry({
                kernel: [kernel, 1],
                stride: [stride, 1],
                dilation: [dilation, 1],
                padding,
              });
              const [rows, columns] = windowOutputSize(geometry, size, 6);
              const expected = places(size, before, after, (kernel - 1) * dilation, stride);
              assert.equal(Math.max(rows, 0), expected);
              assert.equal(columns, 6);
            }
  });

  test('the 1×1 branch keeps stride and groups and nothing else', () => {
    const geometry = convGeometry({ kernel: 5, stride: [2, 1], dilation: 3, groups: 8 });
    assert.deepEqual(pointGeometry(geometry), {
      kernel: [1, 1],
      stride: [2, 1],
      padding: [0, 0, 0, 0],
      dilation: [1, 1],
      groups: 8,
    });
    assert.deepEqual(windowOutputSize(pointGeometry(geometry), 9, 10), windowOutputSize(geometry, 9, 10));
    assert.ok(!isUnitStride(geometry) && isUnitStride(convGeometry({ kernel: 3 })));
  });

  test('text form leaves out what is ordinary', () => {
    assert.equal(formatGeometry(convGeometry({ kernel: 1 })), 'k1x1 s1x1 p0,0,0,0');
    const all = convGeometry({ kernel: [3, 5], stride: 2, dilation: [1, 2], groups: 4 });
    assert.equal(formatGeometry(all), 'k3x5 s2x2 p1,4,1,4 d1x2 g4');
  });

  const wrong: readonly (readonly [GeometryOptions, RegExp])[] = [
    [{ kernel: 0 }, /positive integers, found k0x0/],
    [{ kernel: 3, stride: [1, 0] }, /positive integers, found k3x3 s1x0/],
    [{ kernel: 3, dilation: -1 }, /positive integers/],
    [{ kernel: 3, groups: 1.5 }, /positive integers.*g1.5/],
    [{ kernel: Number.NaN }, /positive integers/],
    [{ kernel: 3, padding: -1 }, /0 or more, found \[-1,-1,-1,-1\]/],
    [{ kernel: 3, padding: [0, 0, 0.5, 0] }, /0 or more/],
    [{ kernel: 3, padding: Number.POSITIVE_INFINITY }, /0 or more/],
  ];
  for (const [options, message] of wrong)
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => convGeometry(options),
        (error: unknown) => error instanceof ShapeError && message.test(error.message),
      );
    });
});
