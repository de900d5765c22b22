import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cells, facts, printable, table, truncate, wrap } from './layout.ts';

test('cells: accents, wide and combining characters', () => {
  assert.deepEqual(['abc', 'é', 'e\u0301', '犬', '🐕', ''].map(cells), [3, 1, 1, 2, 2, 0]);
});

test('truncate keeps the width, also where a wide character would cross it', () => {
  assert.equal(truncate('house finch', 8), 'house f…');
  assert.equal(truncate('house finch', 7), 'house…');
  assert.equal(truncate('犬犬犬', 4), '犬…');
  assert.equal(truncate('whole', 5), 'whole');
});

test('printable shows control characters', () => {
  assert.equal(printable('a\x1b[31m\nb\x7f'), 'a\\x1b[31m\\x0ab\\x7f');
});

test('wrap breaks at spaces and hangs', () => {
  assert.deepEqual(wrap('one two three four', 9, 2), ['one two', '  three', '  four']);
  assert.deepEqual(wrap('unbreakable word', 5), ['unbreakable', 'word']);
  assert.deepEqual(wrap('any length', Number.POSITIVE_INFINITY), ['any length']);
});

const columns = [
  { heading: 'name' },
  { heading: 'what', least: 6 },
  { heading: 'n', align: 'right' },
] as const;
const rows = [
  ['a', 'a long description', '1'],
  ['bcd', 'short', '1000'],
];

test('table: natural widths, then cut columns, then lines below each other', () => {
  assert.deepEqual(table(columns, rows, Number.POSITIVE_INFINITY), [
    'name  what                   n',
    'a     a long description     1',
    'bcd   short               1000',
  ]);
  assert.deepEqual(table(columns, rows, 24), [
    'name  what             n',
    'a     a long desc…     1',
    'bcd   short         1000',
  ]);
  assert.deepEqual(table(columns, rows, 17), [
    'a',
    '  what a long',
    '    description',
    '  n 1',
    'bcd',
    '  what short',
    '  n 1000',
  ]);
});

test('facts: one column of values', () => {
  const list = [
    ['net', 'one two three four'],
    ['names', 'x'],
  ] as const;
  assert.deepEqual(facts(list, 20), ['net    one two three', '       four', 'names  x']);
});
