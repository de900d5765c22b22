import type { Engine } from '../engine/engine.ts';
import type { OnnxNormalization } from '../format/onnx/encode-onnx.ts';
import { deepLabStyles } from '../model/deeplabv3.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { probeBatch, runOnce } from './compare-nets.ts';
import { type DetectedObject, detectionDecoder } from './detect.ts';
import { exactSize, type HeadNet, runnableNet } from './head-net.ts';
import { classMapOf } from './segment.ts';
import { detectorStyles } from './task-head.ts';
import { beforeAndAfter } from './verify-onnx.ts';

/** A file's outputs in its own layout; integers as numbers. */
export type OnnxAnswers = Readonly<Record<string, Tensor>>;

/** How many of a net's own answers a file gives too, on a probe. */
export interface AnswerAgreement {
  readonly what: 'boxes' | 'pixels';
  readonly same: number;
  /** Of both together: an answer that only one of them gives counts. */
  readonly all: number;
}

/** Boxes are the same when they lie this near, in pixels, and their scores this near. */
const near = { pixels: 0.05, score: 1e-4 } as const;
const images = 2;

/**
 * Compares the answers of an exported file that decodes with those of `detect` and `segment`.
 * @param run the file on an [N,H,W,C] input
 */
export async function verifyDecoding(
  engine: Engine,
  source: HeadNet,
  run: (input: Tensor) => Promise<OnnxAnswers>,
  normalization?: OnnxNormalization,
): Promise<AnswerAgreement> {
  const { height, width } = exactSize(source.transform);
  const probe = probeBatch([images, height, width, source.config.inChannels], 1);
  const [raw, seen] =
    normalization?.kind === 'included' ? beforeAndAfter(probe, normalization) : [probe, probe];
  const { net, maps } = runnableNet(source, 'deploy', { batch: images });
  const outputs = await runOnce(engine, net, seen);
  const answers = await run(raw);
  const { head, labels, transform } = source;
  if (head.task === 'segment') {
    const { alignCorners } = deepLabStyles[head.style];
    const found = answers.classMap?.data ?? [];
    let same = 0;
    for (let n = 0; n < images; n++) {
      const logits = outputs.logits ?? { shape: [0], data: new Float32Array() };
      const { classMap } = classMapOf(logits, { width, height }, { alignCorners, n });
      classMap.forEach((label, i) => {
        if (found[n * classMap.length + i] === label) same++;
      });
    }
    return { what: 'pixels', same, all: images * width * height };
  }
  const decode = detectionDecoder({ head, labels, transform }, maps);
  const rule = { ...detectorStyles[head.style].rule, most: Number.POSITIVE_INFINITY };
  const agreements = Array.from({ length: images }, (_, n) =>
    matched(decode(outputs, n, { width, height }, rule), objectsOf(answers, n)),
  );
  return {
    what: 'boxes',
    same: agreements.reduce((sum, { same }) => sum + same, 0),
    all: agreements.reduce((sum, { all }) => sum + all, 0),
  };
}

type Found = Pick<DetectedObject, 'label' | 'score' | 'box'>;

function objectsOf({ boxes, scores, labels, images: places }: OnnxAnswers, n: number): readonly Found[] {
  return Array.from(scores?.data ?? []).flatMap((score, i) => {
    const [x = 0, y = 0, right = 0, bottom = 0] = boxes?.data.subarray(4 * i, 4 * i + 4) ?? [];
    const box = { x, y, width: right - x, height: bottom - y };
    const counts = places?.data[i] === n && box.width > 0 && box.height > 0;
    return counts ? [{ label: labels?.data[i] ?? -1, score, box }] : [];
  });
}

function matched(own: readonly Found[], found: readonly Found[]): { same: number; all: number } {
  const left = new Set(found);
  let same = 0;
  for (const one of own)
    for (const other of left)
      if (isSame(one, other)) {
        left.delete(other);
        same++;
        break;
      }
  return { same, all: own.length + left.size };
}

function isSame(a: Found, b: Found): boolean {
  const sides = ['x', 'y', 'width', 'height'] as const;
  return (
    a.label === b.label &&
    Math.abs(a.score - b.score) <= near.score &&
    sides.every((side) => Math.abs(a.box[side] - b.box[side]) <= near.pixels)
  );
}
