import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphCost } from '../src/graph/cost.ts';
import type { CheckedGraph } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { buildDeepLabV3, type DeepLabStyleName, deepLabStyles } from '../src/model/deeplabv3.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { buildSsdLite, ssdLiteExtraChannels } from '../src/model/ssdlite.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Tensor, toFloat64 } from '../src/tensor/tensor.ts';
import { reparameterize } from '../src/transform/reparameterize.ts';

interface HeadCost {
  readonly parameters: number;
  readonly macs: number;
}
type Fixture = Record<'ssdlite320' | 'deeplabv3_os8_128px_21' | 'fcn_os8_128px_21', HeadCost>;
const fixture = JSON.parse(
  readFileSync(new URL('../../test/fixtures/heads/heads.json', import.meta.url), 'utf8'),
) as Fixture;

const costOf = (graph: CheckedGraph): HeadCost => {
  const { parameters, macs } = graphCost(graph);
  return { parameters, macs };
};
const difference = (a: HeadCost, b: HeadCost): HeadCost => ({
  parameters: a.parameters - b.parameters,
  macs: a.macs - b.macs,
});
const anchors = [6, 6, 6, 6, 6, 6];

describe("heads have torchvision's parameters and multiply-accumulates", () => {
  const backbone = mobileOneConfig('s0');
  test('SSDLite at 320 pixels, 91 classes', () => {
    const config = { backbone, classes: 91, anchors, extraChannels: ssdLiteExtraChannels };
    const { graph, maps } = buildSsdLite(config, { form: 'train' });
    const features = buildMobileOne(backbone, {
      form: 'train',
      height: 320,
      width: 320,
      outputs: ['stage4'],
    });
    assert.deepEqual(difference(costOf(graph), costOf(features)), fixture.ssdlite320);
    assert.deepEqual(
      maps,
      [20, 10, 5, 3, 2, 1].map((n) => [n, n]),
    );
  });

  test('DeepLabV3 and its auxiliary head, 21 classes, output stride 8', () => {
    const config = {
      backbone,
      classes: 21,
      style: deepLabStyles.torchvision,
      outputStride: 8 as const,
    };
    const size = { form: 'train', height: 128, width: 128 } as const;
    const features = buildMobileOne(backbone, { ...size, outputStride: 8, outputs: ['stage4'] });
    const plain = buildDeepLabV3(config, { ...size, auxiliary: false });
    const both = buildDeepLabV3(config, size);
    assert.deepEqual(difference(costOf(plain), costOf(features)), fixture.deeplabv3_os8_128px_21);
    assert.deepEqual(difference(costOf(both), costOf(plain)), fixture.fcn_os8_128px_21);
  });
});

describe('heads fuse: train form = deploy form', () => {
  const backbone = mobileOneConfig('s0', { widths: [0.125, 0.125, 0.125, 0.125], pairs: [1, 1, 2, 1] });
  const graphs: Record<string, (form: 'train' | 'deploy') => CheckedGraph> = {
    ssdlite: (form) =>
      buildSsdLite(
        { backbone, classes: 4, anchors, extraChannels: [16, 8, 8, 8] },
        { form, height: 96, width: 64 },
      ).graph,
  };
  for (const name of Object.keys(deepLabStyles) as DeepLabStyleName[])
    for (const outputStride of [8, 16] as const)
      graphs[`deeplabv3 ${name}, output stride ${outputStride}`] = (form) =>
        buildDeepLabV3(
          { backbone, classes: 5, style: { ...deepLabStyles[name], channels: 16 }, outputStride },
          { form, height: 64, width: 96, auxiliary: true },
        );
  for (const [name, build] of Object.entries(graphs))
    test(name, async () => {
      const graph = build('train');
      const narrow = randomStatistics(graph, initialWeights(graph, 'apple', 1), 2);
      const weights = new Map([...narrow].map(([key, tensor]) => [key, toFloat64(tensor)]));
      const net: Net = { graph, weights };
      const fused = reparameterize(net);
      const image = picture(graph);
      const [trained, deployed] = [await outputs(net, image), await outputs(fused, image)];
      const expected = build('deploy');
      const names = (g: CheckedGraph) => new Set(g.parameters.map(({ value }) => g.values[value]?.name));
      assert.deepEqual(names(fused.graph), names(expected));
      for (const [output, tensor] of Object.entries(trained)) {
        const other = deployed[output];
        let [largest, worst] = [0, other ? 0 : Number.NaN];
        tensor.data.forEach((value, at) => {
          largest = Math.max(largest, Math.abs(value));
          worst = Math.max(worst, Math.abs(value - (other?.data[at] ?? Number.NaN)));
        });
        assert.ok(worst <= 1e-12 * largest && largest > 0, `${output}: ${worst} of ${largest}`);
      }
    });
});

function picture(graph: CheckedGraph): Tensor {
  const random = createRandom(4);
  const shape = graph.values[graph.inputs[0] ?? -1]?.shape ?? [];
  return { shape, data: Float64Array.from({ length: elementCount(shape) }, () => random.normal()) };
}

async function outputs({ graph, weights }: Net, image: Tensor) {
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  try {
    return await session.run({ image });
  } finally {
    session.dispose();
  }
}
