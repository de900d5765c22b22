import type { CompileOptions, Engine } from '../engine/engine.ts';
import type { Net } from '../graph/net.ts';
import { inputName } from '../model/mobileone.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';
import { balanceRounding, productMeans } from '../transform/balance-rounding.ts';

/**
 * Weights for precision bf16 whose biases make up for rounding, by what the net's layers read of some pictures.
 * @param net in deploy form, for one picture
 * @param pictures inputs [1, H, W, 3]; without any the weights are returned as they are
 */
export async function calibratedWeights(
  { graph, weights }: Net,
  pictures: Iterable<Tensor>,
  engine: Engine,
  options: Pick<CompileOptions, 'threads' | 'target'>,
): Promise<Weights> {
  const session = await engine.compile(productMeans(graph), weights, { ...options, precision: 'f32' });
  const sums = new Map<string, Float64Array>();
  let count = 0;
  try {
    for (const picture of pictures) {
      count++;
      for (const [name, { data }] of Object.entries(await session.run({ [inputName]: picture }))) {
        const sum = sums.get(name) ?? new Float64Array(data.length);
        for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (data[i] ?? 0);
        sums.set(name, sum);
      }
    }
  } finally {
    session.dispose();
  }
  const means = new Map([...sums].map(([name, sum]) => [name, sum.map((total) => total / count)]));
  return balanceRounding(graph, weights, means);
}
