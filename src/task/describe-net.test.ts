import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mobileOneConfig } from '../model/config.ts';
import { describeNet, describeNodes } from './describe-net.ts';

test('both FLOPs conventions and the sums of the parts', () => {
  for (const [variant, mmpretrain, fvcore] of [
    ['s0', 274136576, 275160576],
    ['s4', 2979222528, 2981270528],
  ] as const) {
    const config = mobileOneConfig(variant);
    const { deploy, stages, head } = describeNet(config);
    assert.deepEqual([deploy.mmpretrainFlops, deploy.fvcoreFlops], [mmpretrain, fvcore]);
    const sum = (of: (part: { parameters: number; macs: number }) => number): number =>
      [...stages, head].reduce((total, part) => total + of(part), 0);
    assert.equal(
      sum((part) => part.parameters),
      deploy.parameters,
    );
    assert.equal(
      sum((part) => part.macs),
      deploy.macs,
    );
    const nodes = describeNodes(config, 'deploy');
    assert.equal(
      nodes.reduce((total, node) => total + node.macs, 0),
      deploy.macs,
    );
  }
});

test('stages at another size and output stride; a net without classes', () => {
  const config = mobileOneConfig('s4', { classes: 0 });
  const { stages, taps, head, deploy } = describeNet(config, { height: 64, width: 96, outputStride: 16 });
  assert.deepEqual(
    stages.map(({ size, stride, blocks, squeezeExciteBlocks }) => [
      size,
      stride,
      blocks,
      squeezeExciteBlocks,
    ]),
    [
      [[32, 48], 2, 1, 0],
      [[16, 24], 4, 4, 0],
      [[8, 12], 8, 16, 0],
      [[4, 6], 16, 20, 10],
      [[4, 6], 16, 2, 2],
    ],
  );
  assert.deepEqual(taps.at(-1), { name: 'preLogits', shape: [1, 2048] });
  assert.deepEqual([head.parameters, deploy.fvcoreFlops - deploy.mmpretrainFlops], [0, 0]);
});
