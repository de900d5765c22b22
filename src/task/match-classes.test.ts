import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError } from '../errors.ts';
import { imagenetClasses } from '../hub/labels/class-names.ts';
import { matchClasses } from './match-classes.ts';

const own = (labels: readonly string[] | undefined, count = labels?.length ?? 0) => ({
  count,
  labels,
  imagenet: false,
});
const imagenet = { count: 1000, labels: imagenetClasses().map(({ fullName }) => fullName), imagenet: true };

test('labels in any order, subset and spelling; synonyms where they are of one class', () => {
  const labels = ['Golden Apple', 'crane', 'red-wine', 'crane, machine'];
  assert.deepEqual(matchClasses('d', ['red_wine', 'golden apple'], own(labels)), {
    naming: 'labels',
    indices: [2, 0],
  });
  assert.deepEqual(matchClasses('d', ['machine', 'crane'], own(labels)).indices, [3, 1]);
  assert.deepEqual(matchClasses('d', ['tench', 'Carassius auratus'], imagenet).indices, [0, 1]);
});

test("WordNet ids of ImageNet, also with a name after them; numbers; a net's order", () => {
  assert.deepEqual(matchClasses('d', ['n01443537', 'n01440764_tench'], imagenet), {
    naming: 'synsets',
    indices: [1, 0],
  });
  assert.deepEqual(matchClasses('d', ['0', '007', '2'], own(undefined, 8)), {
    naming: 'numbers',
    indices: [0, 7, 2],
  });
  assert.deepEqual(matchClasses('d', ['a', 'b'], own(undefined, 2)), { naming: 'order', indices: [0, 1] });
  // Labels that are numbers mean what they say.
  assert.deepEqual(matchClasses('d', ['3', '1'], own(['1', '3'])).indices, [1, 0]);
});

test('names that fit nowhere are told, with the nearest label', () => {
  const fault = (folders: readonly string[], net: Parameters<typeof matchClasses>[2]): string => {
    try {
      matchClasses('photos', folders, net);
    } catch (error) {
      assert.ok(error instanceof DataError);
      return error.message;
    }
    return assert.fail('nothing was thrown');
  };
  const labels = ['apple', 'banana', 'cherry'];
  assert.match(fault(['apple', 'bananna'], own(labels)), /"photos".*"bananna" \(nearest: "banana"\)/);
  assert.doesNotMatch(fault(['apple', 'zebra'], own(labels)), /nearest/);
  assert.match(fault(['a', 'b'], own(undefined, 3)), /2 classes of the net's 3, whose names nothing tells/);
  assert.match(fault(['Apple', 'apple'], own(labels)), /two folders that mean the same class/);
  assert.match(fault(['9', '0'], own(undefined, 3)), /"9"/);
  assert.match(
    fault(
      Array.from({ length: 9 }, (_, i) => `x${i}`),
      own(labels),
    ),
    /and 4 more/,
  );
});
