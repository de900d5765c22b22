import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mobileOneConfig } from '../model/config.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { graphBuilder } from './builder.ts';
import { printGraph } from './print.ts';
import { imagesOf, withImages } from './with-images.ts';

const build = (batch: number, form: 'train' | 'deploy') =>
  buildMobileOne(mobileOneConfig('s4', { classes: 7 }), { form, batch, height: 64, width: 96 });

test('a net for other numbers of pictures is the net built for them', () => {
  for (const form of ['train', 'deploy'] as const)
    for (const [from, to] of [
      [8, 1],
      [1, 8],
      [6, 3],
    ] as const) {
      const changed = withImages(build(from, form), to);
      assert.ok(changed);
      assert.equal(printGraph(changed), printGraph(build(to, form)));
      assert.equal(imagesOf(changed), to);
    }
});

test('graphs that do not treat pictures apart have no number of pictures', () => {
  const adds = graphBuilder('adds');
  const x = adds.input('x', [4, 2, 2, 3]);
  adds.output('y', adds.node('sum', 'sum', {}, [x, adds.parameter('p', [4, 2, 2, 3], 'weight')]));
  const graph = adds.finish();
  assert.equal(imagesOf(graph), undefined);
  assert.equal(withImages(graph, 2), undefined);

  // Weights that are inputs may have as many rows as there are pictures.
  const given = graphBuilder('given');
  const inputs = [given.input('x', [3, 8]), given.input('weight', [3, 8])];
  given.output('y', given.node('linear', 'linear', {}, inputs));
  assert.equal(imagesOf(given.finish()), undefined);

  const loses = graphBuilder('loses');
  const logits = loses.input('logits', [4, 3]);
  const target = loses.input('target', [4, 3]);
  loses.output('loss', loses.node('crossEntropy', 'loss', { smoothing: 0 }, [logits, target]));
  assert.equal(imagesOf(loses.finish()), undefined);

  const two = graphBuilder('two');
  two.output('a', two.input('x', [4, 2]));
  two.output('b', two.input('y', [3, 2]));
  assert.equal(imagesOf(two.finish()), undefined);
});
