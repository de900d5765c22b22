import type { Engine } from '../engine/engine.ts';
import { GraphError } from '../errors.ts';
import type { OnnxNormalization } from '../format/onnx/encode-onnx.ts';
import { valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Agreement, compareOutputs, probeBatch, runOnce } from './compare-nets.ts';

/** Runs the exported file on one [N,H,W,C] input and gives its outputs with channels last. */
export type OnnxRun = (input: Tensor) => Promise<Readonly<Record<string, Tensor>>>;

/**
 * How far another runtime's answers to an exported file lie from an engine's answers to the net it was made from.
 * @param net at the picture size of the file; its batch may be any, and of 2 or more proves that the file's is free
 * @param normalization what the file was written with; with `included`, the file gets pictures before it
 */
export async function verifyOnnx(
  engine: Engine,
  net: Net,
  run: OnnxRun,
  normalization?: OnnxNormalization,
  seed = 1,
): Promise<Agreement> {
  const input = net.graph.inputs[0];
  if (input === undefined) throw new GraphError(`verifyOnnx: "${net.graph.name}" has no input.`);
  const { shape } = valueAt(net.graph, input);
  const probe = probeBatch(shape, seed);
  const [raw, seen] =
    normalization?.kind === 'included' ? beforeAndAfter(probe, normalization) : [probe, probe];
  return { ...compareOutputs(await runOnce(engine, net, seen), await run(raw)), probe: shape };
}

/** The probe as a picture on the file's scale, and that picture normalized again in the file's order and rounding. */
export function beforeAndAfter(
  { shape, data }: Tensor<Float32Array>,
  { range, mean, std }: OnnxNormalization,
): readonly [raw: Tensor, seen: Tensor] {
  const { fround } = Math;
  const mu = (i: number): number => fround(mean[i % mean.length] ?? 0);
  const sigma = (i: number): number => fround(std[i % std.length] ?? 1);
  const raw = data.map((x, i) => (x * sigma(i) + mu(i)) * range);
  const seen = raw.map((x, i) => fround(fround(x / range) - mu(i)) / sigma(i));
  return [
    { shape, data: raw },
    { shape, data: seen },
  ];
}
