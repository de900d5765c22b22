import type { CompileOptions, Engine } from '../engine/engine.ts';
import { applyTransform } from '../image/apply-transform.ts';
import type { Image } from '../image/image.ts';
import { inputName } from '../model/mobileone.ts';
import { centreActivations } from '../transform/centre-activations.ts';
import { momentSums, momentsGraph } from '../transform/product-moments.ts';
import { roundProducts } from '../transform/round-products.ts';
import { type PictureNet, wholePixels } from './whole-pixels.ts';

/**
 * The net for precision bf16 that is nearest to the given one, by what its layers read of some pictures: pixels are
 * whole numbers, activations lie about their means, and weights are rounded together (`roundProducts`). It runs as fast.
 * @param given in deploy form, for one picture
 * @param engine one that can train, for its moments of patches
 */
export async function calibratedNet(
  given: PictureNet,
  pictures: readonly Image[],
  engine: Engine,
  options: Pick<CompileOptions, 'threads' | 'target'>,
): Promise<PictureNet> {
  const { net, transform } = wholePixels(given);
  const sums = momentSums(net.graph);
  const session = await engine.compile(momentsGraph(net.graph), net.weights, {
    ...options,
    precision: 'f32',
  });
  try {
    for (const picture of pictures)
      sums.add(await session.run({ [inputName]: applyTransform(picture, transform) }));
  } finally {
    session.dispose();
  }
  const centred = centreActivations(net, sums.moments());
  const weights = roundProducts(centred.net, centred.moments);
  return { net: { graph: centred.net.graph, weights }, transform };
}
