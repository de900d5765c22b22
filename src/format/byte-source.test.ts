import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { memorySource } from './byte-source.ts';
import { crc32 } from './torch/crc32.ts';

test('memory: exact ranges, nothing past the end', async () => {
  const source = memorySource(Uint8Array.of(0, 1, 2, 3, 4).subarray(1), 'x');
  assert.deepEqual([...(await source.read(1, 2))], [2, 3]);
  assert.deepEqual([...(await source.read(4, 0))], []);
  const outside: readonly (readonly [number, number])[] = [
    [0, 5],
    [5, 0],
    [-1, 2],
    [1, -1],
    [0.5, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
  ];
  for (const [offset, length] of outside) await assert.rejects(source.read(offset, length), FormatError);
});

test('CRC-32 of the standard check string, in one piece and in parts', () => {
  const bytes = new TextEncoder().encode('123456789');
  assert.equal(crc32(bytes), 0xcbf43926);
  assert.equal(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});
