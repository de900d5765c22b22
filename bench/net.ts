import type { CheckedGraph } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig, type VariantName } from '../src/model/config.ts';
import { buildMobileOne, inputName } from '../src/model/mobileone.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { seededImages, seededWeights } from '../test/support/seeded-net.ts';

/** Side of the picture in every row. */
export const side = 224;
export const imageName = inputName;

/** The deploy graph whose only output is `logits`. */
export function benchGraph(variant: VariantName, batch: number): CheckedGraph {
  return buildMobileOne(mobileOneConfig(variant), { form: 'deploy', batch, height: side, width: side });
}

export function seededNet(variant: VariantName, batch = 1): Net {
  const graph = benchGraph(variant, batch);
  return { graph, weights: seededWeights(graph) };
}

/** The benchmark's pictures, [batch, 224, 224, 3]. */
export function benchImages(batch: number, seed?: number): Tensor<Float32Array> {
  return seededImages(batch, side, seed);
}

/** NHWC → NCHW, for engines that take pictures so. */
export function channelsFirst({ shape, data }: Tensor<Float32Array>): Tensor<Float32Array> {
  const [n = 0, h = 0, w = 0, c = 0] = shape;
  const result = new Float32Array(data.length);
  const area = h * w;
  for (let image = 0; image < n; image++)
    for (let i = 0; i < area; i++)
      for (let k = 0; k < c; k++) result[(image * c + k) * area + i] = data[(image * area + i) * c + k] ?? 0;
  return { shape: [n, c, h, w], data: result };
}
