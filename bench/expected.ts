import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import type { VariantName } from '../src/model/config.ts';
import { maxDifference } from '../src/tensor/tensor.ts';
import { modelFiles } from './adapters/adapter.ts';
import { floatsOf, openSession } from './adapters/onnxruntime-node.ts';
import { benchImages, channelsFirst, imageName, seededNet } from './net.ts';
import type { Tolerance } from './rows.ts';

const classes = 1000;

/** onnxruntime-node's f32 logits on the benchmark's pictures: what rows must agree with. */
export async function expectedLogits(
  folder: string,
  variant: VariantName,
  batch: number,
): Promise<Float32Array> {
  const session = await openSession(await readFile(join(folder, modelFiles.onnx(variant))), 1);
  const { shape, data } = channelsFirst(benchImages(batch));
  const results = await session.run({ input: new ort.Tensor('float32', data, shape) });
  const logits = Float32Array.from(floatsOf(results, 'logits'));
  await session.release();
  return logits;
}

/** How far the referee is from the reference engine on one picture, relative to the largest logit. */
export async function refereeDifference(expected: Float32Array, variant: VariantName): Promise<number> {
  const { graph, weights } = seededNet(variant);
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  const { logits } = await session.run({ [imageName]: benchImages(1) });
  session.dispose();
  if (logits === undefined) throw new Error('the reference engine gave no logits');
  return maxDifference({ shape: logits.shape, data: expected.slice(0, classes) }, logits).relative;
}

/** The difference that the tolerance is about; NaN for logits of another count. */
export function difference(found: Float32Array, expected: Float32Array, { of }: Tolerance): number {
  if (found.length !== expected.length) return Number.NaN;
  const as = (data: Float32Array) => ({ shape: [data.length], data });
  if (of === 'logits') return maxDifference(as(found), as(expected)).relative;
  return maxDifference(as(softmaxRows(found)), as(softmaxRows(expected))).absolute;
}

function softmaxRows(logits: Float32Array): Float32Array {
  const result = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const powers = row.map((value) => Math.exp(value - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    result.set(
      powers.map((value) => value / sum),
      start,
    );
  }
  return result;
}
