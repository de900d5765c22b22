import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawToTensor, tensorToRaw } from './raw.ts';

const numbers = [0, -0, 1.5, -3.25e-7, 6.02e23, Number.POSITIVE_INFINITY, Number.NaN];

for (const [dtype, width, write] of [
  ['f32', 4, DataView.prototype.setFloat32],
  ['f64', 8, DataView.prototype.setFloat64],
] as const)
  test(`${dtype}: little endian bytes at any address, there and back`, () => {
    const file = new Uint8Array(3 + numbers.length * width);
    const view = new DataView(file.buffer);
    for (const [i, value] of numbers.entries()) write.call(view, 3 + i * width, value, true);
    const bytes = file.subarray(3);
    const { shape, data } = rawToTensor({ dtype, shape: [numbers.length], bytes });
    const stored = dtype === 'f32' ? numbers.map(Math.fround) : numbers;
    assert.deepEqual([...data], stored);
    assert.deepEqual(tensorToRaw({ shape, data }, dtype), { dtype, shape, bytes: Uint8Array.from(bytes) });
    bytes.fill(0);
    assert.deepEqual([...data], stored, 'a copy: what becomes of the file does not matter');
  });

test('f64 numbers are rounded when they are stored as f32', () => {
  const { bytes } = tensorToRaw({ shape: [1], data: Float64Array.of(0.1) }, 'f32');
  assert.equal(new DataView(bytes.buffer).getFloat32(0, true), Math.fround(0.1));
});

test('every length that does not fit the shape is refused', () => {
  for (const size of [0, 7, 9, 16])
    assert.throws(() => rawToTensor({ dtype: 'f32', shape: [2], bytes: new Uint8Array(size) }), /8 bytes/);
});
