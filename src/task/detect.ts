import { anchorBoxes, type Corners } from '../detection/anchors.ts';
import { decodeBoxes } from '../detection/box-coder.ts';
import type { DetectionRule } from '../detection/nms.ts';
import { detectionSelector } from '../detection/select.ts';
import type { CompileOptions, Engine, NamedTensors } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import { applyTransform } from '../image/apply-transform.ts';
import { fromPixels, type Image, type PixelSource } from '../image/image.ts';
import type { Form } from '../model/block.ts';
import { inputName } from '../model/mobileone.ts';
import { exactSize, type HeadGraph, type HeadNet, runnableNet, scoreIndex } from './head-net.ts';
import { type DetectHead, detectorStyles } from './task-head.ts';

export interface DetectedObject {
  /** Index of the class among the labels. */
  readonly label: number;
  readonly className: string;
  /** Softmax probability. */
  readonly score: number;
  /** In pixels of the picture as given, from its left top corner. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

export interface DetectOptions {
  /** Objects must be surer than it, default 0.3; `detectionRules` has what evaluations use. */
  readonly leastScore?: number;
  /** Names or indices of the classes to look for, default all. */
  readonly classes?: readonly (string | number)[];
  /** How many objects at most, the surest, default 100. */
  readonly most?: number;
  /** Boxes of a class that overlap a surer one by more go; default the style's. */
  readonly iou?: number;
}

export interface HeadOptions extends CompileOptions {
  readonly engine: Engine;
  /** Default `deploy`: train-form weights are re-parameterized first. */
  readonly run?: Form;
}

export interface Detector extends Pick<HeadNet<DetectHead>, 'head' | 'labels' | 'transform' | 'categoryIds'> {
  /** The form that runs. */
  readonly form: Form;
  readonly engine: string;
  /** @returns the surest first */
  detect(picture: Image | PixelSource, options?: DetectOptions): Promise<readonly DetectedObject[]>;
  dispose(): void;
}

/** @throws UsageError, WeightsError when net, transform and weights do not suit each other */
export async function createDetector(source: HeadNet<DetectHead>, options: HeadOptions): Promise<Detector> {
  const { head, labels, transform, categoryIds } = source;
  const { engine, run = 'deploy', ...compile } = options;
  const { net, maps } = runnableNet(source, run);
  const decoder = detectionDecoder(source, maps);
  const session = await engine.compile(net.graph, net.weights, compile);
  return {
    head,
    labels,
    transform,
    categoryIds,
    form: run,
    engine: engine.name,
    detect: async (picture, wanted = {}) => {
      const image = fromPixels(picture);
      const { most, ...rest } = checkedRule(head, wanted);
      const chosen = chosenClasses(wanted.classes, labels);
      const outputs = await session.run({ [inputName]: applyTransform(image, transform) });
      // Without some classes there are others to fill up with.
      const rule = { ...rest, most: chosen.size === labels.length ? most : Number.POSITIVE_INFINITY };
      return decoder(outputs, 0, image, rule)
        .filter(({ label }) => chosen.has(label))
        .slice(0, most);
    },
    dispose: () => session.dispose(),
  };
}

function checkedRule({ style }: DetectHead, options: DetectOptions): DetectionRule {
  const { rule } = detectorStyles[style];
  const { leastScore = 0.3, iou = rule.iou, most = 100 } = options;
  for (const [name, value] of Object.entries({ leastScore, iou }))
    if (!(value >= 0 && value <= 1))
      throw new UsageError(`detect: ${name} must be a number from 0 to 1, found ${value}.`);
  if (!(most >= 1)) throw new UsageError(`detect: most must be at least 1, found ${most}.`);
  return { ...rule, leastScore, iou, most };
}

/** @throws UsageError for a class that the net does not know */
export function chosenClasses(
  classes: readonly (string | number)[] | undefined,
  labels: readonly string[],
): ReadonlySet<number> {
  if (classes === undefined) return new Set(labels.keys());
  return new Set(
    classes.map((one) => {
      const label = typeof one === 'number' ? one : labels.indexOf(one);
      if (Number.isSafeInteger(label) && label >= 0 && label < labels.length) return label;
      throw new UsageError(
        `class ${JSON.stringify(one)} is none that the net knows: ${labels.slice(0, 30).join(', ')}${labels.length > 30 ? ', …' : ''}.`,
      );
    }),
  );
}

/** @param n which picture of the batch @param picture its size before the transform */
export type DetectionDecoder = (
  outputs: NamedTensors,
  n: number,
  picture: { readonly width: number; readonly height: number },
  rule: DetectionRule,
) => readonly DetectedObject[];

/**
 * What turns a net's outputs into objects: softmax, boxes from anchors, suppression, and back to the picture's pixels.
 * It reuses its memory from call to call.
 */
export function detectionDecoder(
  { head, labels, transform }: Pick<HeadNet<DetectHead>, 'head' | 'labels' | 'transform'>,
  maps: HeadGraph['maps'],
): DetectionDecoder {
  const { height, width } = exactSize(transform);
  const { coder, background } = detectorStyles[head.style];
  const anchors = anchorBoxes(head.anchors, maps, [height, width]);
  const classes = labels.length + 1;
  const scores = new Float32Array((anchors.length / 4) * classes);
  const offsets = new Float32Array(anchors.length);
  const boxes: Corners = new Float32Array(anchors.length);
  const selector = detectionSelector(anchors.length / 4, classes, background(labels.length));
  const at = scoreIndex(head, labels.length);
  const labelOf = new Map(labels.map((_, label) => [at(label), label]));
  return (outputs, n, picture, rule) => {
    gather(outputs, 'classes', n, scores);
    gather(outputs, 'boxes', n, offsets);
    decodeBoxes(coder, anchors, offsets, boxes, [width, height]);
    const [across, down] = [picture.width / width, picture.height / height];
    return selector.ofLogits(boxes, scores, rule).flatMap(({ anchor, label: index, score }) => {
      const label = labelOf.get(index);
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(4 * anchor, 4 * anchor + 4);
      if (label === undefined || x2 <= x1 || y2 <= y1) return [];
      const box = { x: x1 * across, y: y1 * down, width: (x2 - x1) * across, height: (y2 - y1) * down };
      return [{ label, className: labels[label] ?? '', score, box }];
    });
  };
}

/** One picture's part of `name.0`, `name.1`, …, one map after the other. */
function gather(outputs: NamedTensors, name: string, n: number, into: Float32Array): void {
  for (let map = 0, at = 0; at < into.length; map++) {
    const tensor = outputs[`${name}.${map}`];
    const each = (tensor?.data.length ?? 0) / (tensor?.shape[0] ?? 1);
    if (tensor === undefined || at + each > into.length)
      throw new UsageError(`detect: output ${name}.${map} is missing or does not fit the anchors.`);
    into.set(tensor.data.subarray(n * each, (n + 1) * each), at);
    at += each;
  }
}

/** In place, each row of `width` numbers. */
export function softmaxRows(data: Float32Array, width: number): void {
  for (let start = 0; start < data.length; start += width) {
    let most = Number.NEGATIVE_INFINITY;
    for (let i = start; i < start + width; i++) most = Math.max(most, data[i] ?? 0);
    let sum = 0;
    for (let i = start; i < start + width; i++) {
      const value = Math.exp((data[i] ?? 0) - most);
      data[i] = value;
      sum += value;
    }
    for (let i = start; i < start + width; i++) data[i] = (data[i] ?? 0) / sum;
  }
}
