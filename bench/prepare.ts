import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { encodeOnnx } from '../src/format/onnx/encode-onnx.ts';

import { writeWeights } from '../src/format/weights-file.ts';
import type { ValueId } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import type { VariantName } from '../src/model/config.ts';
import { litertFolder, missingRival, modelFiles, rivalPath } from './adapters/adapter.ts';
import { floatsOf, openSession } from './adapters/onnxruntime-node.ts';
import { encodeCalibration, encodeQuantized } from './formats/quantized-onnx.ts';
import { encodeTflite } from './formats/tflite.ts';
import { benchImages, channelsFirst, seededNet } from './net.ts';

/** Which files a variant's rows need. */
export interface Needs {
  readonly quantized: boolean;
  readonly tflite: boolean;
}

/** A folder for one run's model files. */
export async function createFolder(): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), 'mobileone-bench-'));
  if (missingRival('@litertjs/core') === undefined) {
    // One of LiteRT's workers is loaded by require, which the package's own type: module forbids.
    await mkdir(join(path, litertFolder));
    await cp(rivalPath('@litertjs/core/wasm'), join(path, litertFolder), { recursive: true });
    await writeFile(join(path, litertFolder, 'package.json'), '{"type":"commonjs"}');
  }
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Seeded weights in every format that the rows read. */
export async function writeModels(folder: string, variant: VariantName, needs: Needs): Promise<void> {
  const net = seededNet(variant);
  const put = (name: string, bytes: Uint8Array): Promise<void> => writeFile(join(folder, name), bytes);
  await put(modelFiles.weights(variant), writeWeights(net.weights, 'mobileone'));
  await put(modelFiles.onnx(variant), encodeOnnx(net));
  if (needs.quantized) await put(modelFiles.quantized(variant), encodeQuantized(net, await calibrate(net)));
  if (needs.tflite) await put(modelFiles.tflite(variant), encodeTflite(net));
}

const calibrationImages = 8;

/** Ranges over seeded pictures, none of them the benchmark's. */
async function calibrate(net: Net): Promise<ReadonlyMap<ValueId, readonly [number, number]>> {
  const { file, names } = encodeCalibration(net);
  const session = await openSession(file, 1);
  const ranges = new Map<ValueId, readonly [number, number]>();
  const widen = (id: ValueId | undefined, data: Float32Array): void => {
    if (id === undefined) return;
    let [low, high] = ranges.get(id) ?? [0, 0];
    for (const value of data) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    ranges.set(id, [low, high]);
  };
  for (let i = 0; i < calibrationImages; i++) {
    const { shape, data } = channelsFirst(benchImages(1, 1000 + i));
    widen(net.graph.inputs[0], data);
    const results = await session.run({ input: new ort.Tensor('float32', data, shape) });
    for (const [name, id] of names) widen(id, floatsOf(results, name));
  }
  await session.release();
  return ranges;
}
