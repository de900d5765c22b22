import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeightsError } from '../../errors.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { toFamilyNames } from './family-names.ts';
import { matchWeights, weightsError } from './match-weights.ts';

type Options = { width?: number; classes?: number; branches?: number; blocks?: number; se?: boolean };

/** Shapes of a net of a stem and pointwise blocks, in train or deploy form. */
function net(form: 'train' | 'deploy', options: Options = {}): Map<string, Shape> {
  const { width = 8, classes = 10, branches = 1, blocks = 2, se = false } = options;
  const shapes = new Map<string, Shape>();
  const block = (prefix: string, shape: Shape) => {
    if (form === 'deploy') shapes.set(`${prefix}.weight`, shape).set(`${prefix}.bias`, [width]);
    for (let b = 0; form === 'train' && b < branches; b++) {
      shapes.set(`${prefix}.conv.${b}.weight`, shape).set(`${prefix}.conv.${b}.bn.gamma`, [width]);
    }
    if (se) shapes.set(`${prefix}.se.squeeze.bias`, [2]);
  };
  block('stem', [width, 3, 3, 3]);
  for (let j = 0; j < blocks; j++) {
    block(`stages.0.${j}`, j % 2 === 0 ? [width, 1, 3, 3] : [width, width, 1, 1]);
  }
  return shapes.set('head.weight', [classes, width]).set('head.bias', [classes]);
}

test('equal shapes match', () => {
  const match = matchWeights(net('train'), net('train'));
  assert.deepEqual(match, { complete: true, missing: [], unexpected: [], wrongShape: [], cause: undefined });
});

test('each difference is told with its likely cause', () => {
  const prefixed = new Map([...net('train')].map(([name, shape]) => [`module.${name}`, shape] as const));
  const apple = new Map(toFamilyNames(net('deploy').keys(), 'apple').map(({ name }) => [name, [1]] as const));
  const backbone = net('train');
  backbone.delete('head.weight');
  backbone.delete('head.bias');
  const cases: readonly (readonly [Map<string, Shape>, Map<string, Shape>, RegExp])[] = [
    [net('train'), net('deploy'), /the file holds the deploy form, the net is in train form/],
    [net('deploy'), net('train'), /the file holds the train form, the net is in deploy form/],
    [net('train'), net('train', { width: 16 }), /\[8,8\] channels wide in the net and \[16,16\]/],
    [net('train'), net('train', { blocks: 4 }), /the net has 2 blocks, the file 4/],
    [net('train', { branches: 4 }), net('train'), /the net has 4 convolution branches a block, the file 1/],
    [net('train', { se: true }), net('train'), /the net has squeeze-and-excite/],
    [net('train'), net('train', { se: true }), /the file has squeeze-and-excite/],
    [net('train'), net('train', { classes: 3 }), /the net has 10 classes, the file 3/],
    [net('train'), backbone, /no classifier, only the backbone/],
    [backbone, net('train'), /the net has no classifier/],
    [net('train'), prefixed, /starts with "module\."/],
    [net('deploy'), apple, /the names are those of apple/],
    [net('train'), new Map([['conv1.weight', [1]]]), /another net/],
    [net('train'), new Map(), /the file has no tensors/],
  ];
  for (const [expected, found, cause] of cases) {
    const match = matchWeights(expected, found);
    assert.equal(match.complete, false);
    assert.match(match.cause ?? '', cause);
  }
});

test('the error reports all three lists, shortened', () => {
  const expected = net('train', { blocks: 6 });
  const found = net('train', { classes: 3, blocks: 0 }).set('extra.weight', [1]);
  const error = weightsError('file.pth', matchWeights(expected, found));
  assert.ok(error instanceof WeightsError);
  assert.match(error.message, /"file\.pth" do not fit the net: 12 missing \(.*, and 7 more\)/);
  assert.match(error.message, /1 unexpected \(extra\.weight\)/);
  assert.match(error.message, /2 of another shape \(head\.weight \[3,8\] instead of \[10,8\]/);
});
