import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../errors.ts';
import { outcome, race } from './race.ts';
import { isBusy, timingOf } from './timing.ts';

test('timings: quantiles between values, and what a single run says', () => {
  const { runs, median, p10, p90, min } = timingOf([5, 1, 4, 2, 3]);
  assert.deepEqual([runs, median, min], [5, 3, 1]);
  assert.ok(Math.abs(p10 - 1.4) < 1e-12 && Math.abs(p90 - 4.6) < 1e-12, `${p10} ${p90}`);
  assert.deepEqual(timingOf([7]), { runs: 1, median: 7, p10: 7, p90: 7, min: 7 });
  assert.equal(isBusy(timingOf([1, 1, 1, 1.1])), false);
  assert.equal(isBusy(timingOf([1, 1, 2, 2])), true);
});

test('an interval that spans 1 is noise', () => {
  const [a, b] = [timingOf([2, 2, 2]), timingOf([4, 4, 4])];
  const clear = outcome(a, b, [0.4, 0.5, 0.6]);
  assert.deepEqual([clear.ratio, clear.turns, clear.noise], [0.5, 3, false]);
  assert.ok(clear.ratioP10 > 0.4 && clear.ratioP90 < 0.6);
  assert.equal(outcome(a, b, [0.4, 0.5, 1.6]).noise, true);
  assert.equal(outcome(b, a, [1.8, 2, 2.2]).noise, false);
});

test('contestants take turns, both as often as asked for at least', async () => {
  const order: string[] = [];
  const run = (name: string) => async () => {
    order.push(name);
  };
  const { a, b, turns } = await race(run('a'), run('b'), { runs: 3 });
  assert.ok(a.runs >= 3 && b.runs >= 3 && turns >= 5);
  const changes = order.filter((name, i) => name !== order[i - 1]);
  assert.equal(changes.join(''), 'ab'.repeat(turns + 1), 'once to see how long they take, then turn by turn');
  await assert.rejects(race(run('a'), run('b'), { runs: 0 }), UsageError);
});
