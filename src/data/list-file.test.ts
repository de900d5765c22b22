import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError } from '../errors.ts';
import { createRandom } from '../tensor/random.ts';
import { memoryFiles } from './files.ts';
import { openListFile } from './list-file.ts';

const open = (text: string, options = {}, path = 'lists/all.csv') =>
  openListFile(memoryFiles('data', new Map([[path, new TextEncoder().encode(text)]])), path, {
    holdOut: 0,
    ...options,
  });

test('path,label with quotes, comments, empty lines and a byte order mark', async () => {
  const { classes, train } = await open('\ufeff# photos\r\n\r\n"a, ""b"".jpg",dog\r\n./x/../c.jpg, cat\r\n');
  assert.deepEqual(classes, ['cat', 'dog']);
  assert.deepEqual(train.samples, [
    { path: 'lists/a, "b".jpg', target: 1 },
    { path: 'lists/c.jpg', target: 0 },
  ]);
});

test('columns by name, parts, tabs', async () => {
  const {
    train,
    val,
    test: held,
  } = await open(
    'label\tsplit\tfilename\ncat\ttrain\t1.jpg\ndog\ttrain\t2.jpg\ncat\tvalidation\t3.jpg\ndog\ttest\t4.jpg\n',
  );
  assert.deepEqual(
    [train, val, held].map((part) => part?.samples),
    [
      [
        { path: 'lists/1.jpg', target: 0 },
        { path: 'lists/2.jpg', target: 1 },
      ],
      [{ path: 'lists/3.jpg', target: 0 }],
      [{ path: 'lists/4.jpg', target: 1 }],
    ],
  );
});

test('class numbers, after a space as in lists of ImageNet', async () => {
  const { classes, train } = await open('n01/a b.JPEG 2\nn02/b.JPEG 0\n', {}, 'train.txt');
  assert.deepEqual(classes, ['0', '1', '2']);
  assert.deepEqual(train.samples, [
    { path: 'n01/a b.JPEG', target: 2 },
    { path: 'n02/b.JPEG', target: 0 },
  ]);
  const named = await open('a.jpg,1\nb.jpg,0', { classes: ['cat', 'dog'] });
  assert.deepEqual(named.classes, ['cat', 'dog']);
  assert.deepEqual(
    named.train.samples.map(({ target }) => target),
    [1, 0],
  );
});

for (const [what, text, message, options] of [
  ['a missing label', 'a.jpg,cat\nb.jpg\n', /line 2: expected path,label/],
  ['a path outside', 'a.jpg,cat\n../../b.jpg,cat\n', /line 2: .*not inside/],
  ['an absolute path', '/etc/b.jpg,cat\n', /line 1: .*not inside/],
  ['a drive', 'C:\\b.jpg,cat\n', /line 1: .*not inside/],
  [
    'an unknown part',
    'a.jpg,cat,train\nb.jpg,dog,extra\n',
    /line 2: expected train, val or test, found "extra"/,
  ],
  ['an open quote', 'a.jpg,cat\n"b.jpg,dog\n', /line 2: a quote/],
  ['an unknown class', 'a.jpg,cow\n', /label "cow" is none of the 1 classes/, { classes: ['cat'] }],
  ['a number too large', 'a.jpg,2\n', /label "2" is none of the 2 classes/, { classes: ['cat', 'dog'] }],
  ['nothing', '', /found no picture/],
] as const)
  test(`refused: ${what}`, async () => {
    await assert.rejects(open(text, options), (error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, message);
      return true;
    });
  });

test('hostile lists: nothing but a DataError comes out', async () => {
  const random = createRandom(7);
  const marks = [
    '"',
    ',',
    '\n',
    '\r',
    '\t',
    ';',
    ' ',
    '#',
    '../',
    '/',
    'a',
    '1',
    '.jpg',
    '\ufeff',
    '\u0000',
    'path',
    'label',
  ];
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: random.integer(30) }, () => marks[random.integer(marks.length)]).join(
      '',
    );
    const data = await open(text).catch((error: unknown) => {
      assert.ok(error instanceof DataError, `${JSON.stringify(text)}: ${error}`);
    });
    for (const { path, target } of data?.train.samples ?? []) {
      assert.ok(!path.startsWith('/') && !path.split('/').includes('..'), JSON.stringify(text));
      assert.ok(target < (data?.classes.length ?? 0));
    }
  }
});
