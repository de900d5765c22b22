/**
 * Pixels less the mean, divided by the deviation, are no bf16 numbers; whole numbers up to 256 are. A net that reads
 * pixels less the whole number next to the mean loses nothing when they are rounded. With unit u (1/255 or 1):
 *   x = (p u − mean)/std = (p − m) u/std + (m u − mean)/std,  m = round(mean/u)
 * the first convolution takes the factor and the constant. Padding is then a pixel of m instead of mean/u, half a step
 * of 256 away at most.
 */
import type { Net } from '../graph/net.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import { neighboursIn, ownParameter } from '../transform/products.ts';

/** What a net expects of pictures is part of it. */
export interface PictureNet {
  readonly net: Net;
  readonly transform: EvalTransform;
}

/** @returns the same answers from whole pixels; both unchanged where a net does not begin with one convolution */
export function wholePixels({ net, transform }: PictureNet): PictureNet {
  const { graph, weights } = net;
  const neighbours = neighboursIn(graph);
  const first = neighbours.reader(graph.inputs[0]);
  if (first?.kind !== 'conv2d' || first.attrs.geometry.groups !== 1) return { net, transform };
  const weight = ownParameter(graph, weights, neighbours, first, 1);
  const bias = ownParameter(graph, weights, neighbours, first, 2);
  const [outputs = 0, channels = 0, ...window] = weight?.tensor.shape ?? [];
  if (!weight || !bias || channels !== 3) return { net, transform };
  const unit = transform.scale / 255;
  const means = transform.mean.map((mean) => Math.round(mean / unit));
  const taps = window.reduce((product, size) => product * size, 1);
  const data = new Float32Array(weight.tensor.data.length);
  const shifted = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    let sum = bias.tensor.data[output] ?? 0;
    for (let channel = 0; channel < channels; channel++) {
      const [mean, std, whole] = [
        transform.mean[channel] ?? 0,
        transform.std[channel] ?? 1,
        means[channel] ?? 0,
      ];
      for (let tap = 0; tap < taps; tap++) {
        const at = (output * channels + channel) * taps + tap;
        const value = weight.tensor.data[at] ?? 0;
        data[at] = (value * unit) / std;
        sum += (value * (whole * unit - mean)) / std;
      }
    }
    shifted[output] = sum;
  }
  const changed = new Map(weights)
    .set(weight.name, { shape: weight.tensor.shape, data })
    .set(bias.name, { shape: bias.tensor.shape, data: shifted });
  const [red = 0, green = 0, blue = 0] = means;
  return {
    net: { graph, weights: changed },
    transform: { ...transform, scale: 255, mean: [red, green, blue], std: [1, 1, 1] },
  };
}
