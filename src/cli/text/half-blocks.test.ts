import assert from 'node:assert/strict';
import { test } from 'node:test';
import { halfBlocks } from './half-blocks.ts';

test('two pixels a cell, upper in front of lower, colours end with the line', () => {
  const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
  assert.deepEqual(halfBlocks({ width: 2, height: 2, data }, 80), [
    '\x1b[38;2;1;2;3;48;2;7;8;9m▀\x1b[38;2;4;5;6;48;2;10;11;12m▀\x1b[0m',
  ]);
});

test('a wide picture keeps its shape in the columns there are', () => {
  const lines = halfBlocks({ width: 64, height: 32, data: new Uint8Array(64 * 32 * 3).fill(200) }, 16);
  assert.equal(lines.length, 4);
  for (const line of lines) assert.equal(line.match(/▀/g)?.length, 16);
});
