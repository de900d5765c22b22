// Small nets with heads, of random weights as after training.

import { drawScene } from '../../src/data/procedural/draw-scene.ts';
import type { AnchorStyleName } from '../../src/detection/anchors.ts';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { applyTransform } from '../../src/image/apply-transform.ts';
import type { EvalTransform } from '../../src/image/eval-transform.ts';
import type { Image } from '../../src/image/image.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import type { DeepLabStyleName } from '../../src/model/deeplabv3.ts';
import { initialWeights, randomStatistics } from '../../src/model/initialize.ts';
import { buildHeadNet, type HeadNet, runnableNet } from '../../src/task/head-net.ts';
import {
  type DetectHead,
  detectHead,
  type SegmentHead,
  segmentHead,
  type TaskHead,
} from '../../src/task/task-head.ts';

export const exactTransform = (width: number, height: number): EvalTransform => ({
  resize: { kind: 'exact', width, height },
  crop: null,
  interpolation: 'bilinear',
  scale: 1,
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.25, 0.3],
});

function randomNet<H extends TaskHead>(
  head: H,
  labels: readonly string[],
  size: readonly [number, number],
): HeadNet<H> {
  const config = mobileOneConfig('s0', {
    widths: [0.125, 0.125, 0.125, 0.125],
    pairs: [1, 1, 2, 1],
    classes: 0,
  });
  const [width, height] = size;
  const { graph } = buildHeadNet(head, config, labels.length, {
    form: 'train',
    width,
    height,
    auxiliary: true,
  });
  const weights = new Map(randomStatistics(graph, initialWeights(graph, 'apple', 1), 2));
  // Of random nets biases decide everything; without them places differ.
  for (const [name, { shape, data }] of weights)
    if (/(classify|ssd\.classes.*predict)\.(weight|bias)$/.test(name))
      weights.set(name, {
        shape,
        data: data.map((x) => (name.endsWith('bias') ? 0 : 8 * x)) as Float32Array,
      });
  return { head, config, form: 'train', weights, labels, transform: exactTransform(width, height) };
}

export const randomDetector = (
  style: AnchorStyleName = 'torchvision',
  size: readonly [number, number] = [96, 64],
): HeadNet<DetectHead> => randomNet(detectHead(style, 80, [16, 8, 8, 8]), ['circle', 'star', 'cross'], size);

/** Every class is somewhere: biases take away what a class has everywhere on one scene. */
export async function randomSegmenter(
  style: DeepLabStyleName = 'torchvision',
  size: readonly [number, number] = [64, 48],
): Promise<HeadNet<SegmentHead>> {
  const head = segmentHead(style, { channels: 16, background: 0 });
  const net = randomNet(head, ['ground', 'circle', 'star', 'cross'], size);
  const { graph } = runnableNet(net, 'train');
  const session = await referenceEngine.compile(
    graph,
    new Map([...net.weights].filter(([name]) => !name.startsWith('auxiliary'))),
  );
  const { logits } = await session.run({ image: applyTransform(scenePicture(...size), net.transform) });
  const means = new Float32Array(4);
  logits?.data.forEach((value, i) => {
    means[i % 4] = (means[i % 4] ?? 0) - (4 * value) / logits.data.length;
  });
  return { ...net, weights: new Map(net.weights).set('deeplab.classify.bias', { shape: [4], data: means }) };
}

/** Three shapes on ground. */
export const scenePicture = (width: number, height: number, seed = 3): Image =>
  drawScene({ width, height, seed, objects: [3, 3] }).image;
