import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { graphCost, nodeCosts } from '../src/graph/cost.ts';
import { mobileOneConfig, variantNames } from '../src/model/config.ts';
import { inferConfig } from '../src/model/infer-config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';

/**
 * Exact integers, not rounded ones. `features` is mmpretrain's published FLOPs (metafile.yml: no classifier),
 * `whole` the fvcore-style count of conv + linear + pooled elements.
 */
const published = {
  s0: {
    deploy: 2078504,
    train: 5293272,
    buffers: 88192,
    conv: 274086400,
    trainMacs: 1051935232,
    features: 274136576,
    whole: 275160576,
    norms: 226,
  },
  s1: {
    deploy: 4764840,
    train: 4825192,
    buffers: 68352,
    conv: 823777024,
    trainMacs: 830062080,
    features: 823839744,
    whole: 825119744,
    norms: 99,
  },
  s2: {
    deploy: 7808168,
    train: 7884648,
    buffers: 87040,
    conv: 1296378496,
    trainMacs: 1304027392,
    features: 1296478848,
    whole: 1298526848,
    norms: 99,
  },
  s3: {
    deploy: 10078312,
    train: 10170600,
    buffers: 104704,
    conv: 1893742592,
    trainMacs: 1902112768,
    features: 1893842944,
    whole: 1895890944,
    norms: 99,
  },
  s4: {
    deploy: 14838352,
    train: 14951248,
    buffers: 127744,
    conv: 2975593600,
    trainMacs: 2986802432,
    features: 2979222528,
    whole: 2981270528,
    norms: 99,
  },
} as const;
const linear = { s0: 1024000, s1: 1280000, s2: 2048000, s3: 2048000, s4: 2048000 } as const;
const squeezeMacs = { s0: 0, s1: 0, s2: 0, s3: 0, s4: 1628160 } as const;

describe('published costs', () => {
  for (const variant of variantNames)
    test(variant, () => {
      const config = mobileOneConfig(variant);
      const expected = published[variant];
      const deploy = buildMobileOne(config, { form: 'deploy' });
      const cost = graphCost(deploy);
      assert.equal(cost.parameters, expected.deploy);
      assert.equal(cost.macs, expected.conv + squeezeMacs[variant] + linear[variant]);
      assert.equal(cost.macs + cost.pooled, expected.whole);
      const head = nodeCosts(deploy).filter((row) => row.node.kind === 'linear');
      assert.deepEqual(
        head.map((row) => row.macs),
        [linear[variant]],
      );
      const features = graphCost(buildMobileOne(config, { form: 'deploy', outputs: ['preLogits'] }));
      assert.equal(features.macs + features.pooled, expected.features);
      assert.equal(deploy.parameters.length, variant === 's4' ? 136 : 88);

      const train = buildMobileOne(config, { form: 'train' });
      const trainCost = graphCost(train);
      assert.equal(trainCost.parameters, expected.train);
      assert.equal(trainCost.buffers, expected.buffers);
      assert.equal(trainCost.macs, expected.trainMacs);
      assert.equal(train.nodes.filter((node) => node.kind === 'batchNorm').length, expected.norms);
    });

  test('a net is inferred from the shapes of its own parameters', () => {
    const own = mobileOneConfig('s4', {
      widths: [0.5, 0.75, 1, 1.25],
      pairs: [1, 2, 3, 2],
      squeezeExcite: [0, 1, 2, 0],
      branches: 3,
      inChannels: 4,
      classes: 7,
      squeezeRounding: 'divisor8',
    });
    const all = [
      ...variantNames.map((variant) => mobileOneConfig(variant)),
      mobileOneConfig('s0', { classes: 20 }),
    ];
    for (const form of ['train', 'deploy'] as const)
      for (const config of [...all, own]) {
        const graph = buildMobileOne(config, { form, height: 64, width: 64 });
        const shapes = new Map(
          graph.parameters.map(({ value }) => [
            graph.values[value]?.name ?? '',
            graph.values[value]?.shape ?? [],
          ]),
        );
        const expected = form === 'deploy' && config === own ? { ...config, branches: 1 } : config;
        assert.deepEqual(inferConfig(shapes), { config: expected, form });
      }
  });
});
