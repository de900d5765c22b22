/**
 * Detection at 320 px and segmentation at 512 px from a file's bytes to the answer, batch 1, against the same nets as
 * ONNX in onnxruntime-node: raw outputs with the decoding in JavaScript, and files that decode (`export --decode`).
 * Everyone gets the same decoded and resized picture by the same code, and that is part of what is timed. Answers are
 * compared first.
 *
 *     npm run build && node dist/bench/heads.js [--picture photo.jpg] [--rounds 15] [--threads 1,2] [--tasks detection,segmentation]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { drawScene } from '../src/data/procedural/draw-scene.ts';
import { detectionSelector } from '../src/detection/select.ts';
import type { NamedTensors } from '../src/engine/engine.ts';
import { encodeOnnx } from '../src/format/onnx/encode-onnx.ts';
import { applyTransform } from '../src/image/apply-transform.ts';
import { encodePng } from '../src/image/encode-png.ts';
import type { EvalTransform } from '../src/image/eval-transform.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { deepLabStyles } from '../src/model/deeplabv3.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { tensorsOf } from '../src/platform/node/onnx-runtime.ts';
import { createDetector, detectionDecoder } from '../src/task/detect.ts';
import { buildHeadNet, type HeadNet, runnableNet } from '../src/task/head-net.ts';
import { onnxDecoding } from '../src/task/onnx-decoding.ts';
import { classMapOf, createSegmenter } from '../src/task/segment.ts';
import { type DetectHead, detectHead, type SegmentHead, segmentHead } from '../src/task/task-head.ts';
import { createRandom } from '../src/tensor/random.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { openSession } from './adapters/onnxruntime-node.ts';
import { describeMachine } from './machine.ts';
import { channelsFirst } from './net.ts';
import { timingOf } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    picture: { type: 'string' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '1,2' },
    tasks: { type: 'string', default: 'detection,segmentation' },
  },
});
const rounds = Number(options.rounds);
const runsOfTurn = 6;
/** onnxruntime's threads spin a while after a run. */
const restMs = 30;

const config = mobileOneConfig('s0', { classes: 0 });
const exact = (side: number): EvalTransform => ({
  resize: { kind: 'exact', width: side, height: side },
  crop: null,
  interpolation: 'bilinear',
  scale: 1,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
});

/** Seeded weights; nearly everything is background, as trained nets have it. */
function seededHead<H extends DetectHead | SegmentHead>(head: H, objects: number, side: number): HeadNet<H> {
  const { graph } = buildHeadNet(head, config, objects, { form: 'train', width: side, height: side });
  const weights = new Map(initialWeights(graph, 'apple', 1));
  for (const [name, { shape, data }] of weights)
    if (/^ssd\.classes.*predict\.bias$/.test(name))
      weights.set(name, {
        shape,
        data: data.map((_, i) => (i % (objects + 1) === 0 ? 12 : 0)) as Float32Array,
      });
  const labels = Array.from({ length: objects }, (_, i) => `class ${i}`);
  return { head, config, form: 'train', weights, labels, transform: exact(side) };
}

const bytes = options.picture
  ? new Uint8Array(await readFile(options.picture))
  : await encodePng(drawScene({ width: 640, height: 480, seed: 1, objects: [5, 5] }).image);
const decoder = await createNodeDecoder();
const picture = await decoder.decode(bytes, { name: 'picture' });
const open = () => decoder.decode(bytes, { name: 'picture' });

interface Row {
  readonly name: string;
  /** The whole way; answers as text to compare. */
  readonly run: () => Promise<string>;
  readonly times: number[];
}

async function onnxRow(
  source: HeadNet,
  threads: number,
  decodes: boolean,
  read: (outputs: ort.InferenceSession.OnnxValueMapType) => string,
): Promise<Row> {
  const { net, maps } = runnableNet(source, 'deploy');
  const file = encodeOnnx(net, decodes ? { decoding: onnxDecoding(source, maps) } : {});
  const session = await openSession(file, threads);
  return {
    name: `onnxruntime-node ${ort.env.versions.node ?? ''}, ${decodes ? 'decoding inside' : 'decoding in JavaScript'}`,
    run: async () => {
      const { shape, data } = channelsFirst(
        applyTransform(await open(), source.transform) as Tensor<Float32Array>,
      );
      return read(await session.run({ input: new ort.Tensor('float32', data, shape) }));
    },
    times: [],
  };
}

const rule = { leastScore: 0.02, perClass: 300, iou: 0.55, most: 300 };

async function detectRows(source: HeadNet<DetectHead>, threads: number): Promise<readonly Row[]> {
  const detector = await createDetector(source, { engine: await nodeCpuEngine(), threads });
  const decode = detectionDecoder(source, runnableNet(source, 'deploy').maps);
  const summary = (found: readonly { readonly score: number }[]): string =>
    `${found.length} boxes, surest ${(found[0]?.score ?? 0).toFixed(3)}`;
  const limits = { leastScore: rule.leastScore, iou: rule.iou, most: rule.most };
  return [
    {
      name: 'mobileone',
      run: async () => summary(await detector.detect(await open(), limits)),
      times: [],
    },
    await onnxRow(source, threads, false, (outputs) =>
      summary(decode(tensorsOf(outputs) as NamedTensors, 0, picture, rule)),
    ),
    await onnxRow(source, threads, true, ({ scores }) => {
      const all = Array.from(scores?.data as Float32Array, (score) => ({ score }));
      return summary(all.filter(({ score }) => score > rule.leastScore).slice(0, rule.most));
    }),
  ];
}

async function segmentRows(source: HeadNet<SegmentHead>, threads: number): Promise<readonly Row[]> {
  const segmenter = await createSegmenter(source, { engine: await nodeCpuEngine(), threads });
  const summary = (map: ArrayLike<number | bigint>): string => {
    const counts = new Map<number, number>();
    for (let i = 0; i < map.length; i++)
      counts.set(Number(map[i]), (counts.get(Number(map[i])) ?? 0) + 100 / map.length);
    const [[label, share] = [0, 0]] = [...counts].sort((a, b) => b[1] - a[1]);
    return `class ${label} in ${share.toFixed(0)} %`;
  };
  const { alignCorners } = deepLabStyles[source.head.style];
  return [
    {
      name: 'mobileone',
      run: async () => summary((await segmenter.segment(await open())).classMap),
      times: [],
    },
    await onnxRow(source, threads, false, (outputs) => {
      const { logits } = tensorsOf(outputs);
      return logits ? summary(classMapOf(logits, picture, { alignCorners }).classMap) : '';
    }),
    // Its map has the input's size: to give the picture's own it would have to be resized once more.
    await onnxRow(source, threads, true, ({ classMap }) => summary(classMap?.data as BigInt64Array)),
  ];
}

interface Result {
  readonly task: string;
  readonly threads: number;
  readonly name: string;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}
const results: Result[] = [];

async function contest(task: string, threads: number, rows: readonly Row[]): Promise<void> {
  const answers: string[] = [];
  for (const row of rows) answers.push(await row.run());
  console.log(`\n${task}, ${threads} thread${threads > 1 ? 's' : ''}: ${[...new Set(answers)].join(' | ')}`);
  for (let round = 0; round < rounds; round++)
    for (const { run, times } of rows) {
      await sleep(restMs);
      await run();
      for (let i = 0; i < runsOfTurn; i++) {
        const start = performance.now();
        await run();
        times.push(performance.now() - start);
      }
    }
  const own = timingOf(rows[0]?.times ?? []).median;
  for (const { name, times } of rows) {
    const { median, p10, p90 } = timingOf(times);
    results.push({ task, threads, name, median, p10, p90 });
    console.log(
      `${name.padEnd(52)} ${median.toFixed(2).padStart(7)} ms (p10 ${p10.toFixed(2)}, p90 ${p90.toFixed(2)})  mobileone takes ${(own / median).toFixed(2)} of it`,
    );
  }
}

const medianOf = (work: () => void): number => {
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    work();
    times.push(performance.now() - start);
  }
  return timingOf(times).median;
};

/** Boxes of 3,234 anchors and scores of 90 classes, as suppression gets them. */
function suppressionCase() {
  const random = createRandom(1);
  const [anchors, classes] = [3234, 91];
  const boxes = Float32Array.from(
    Array.from({ length: anchors }, () => {
      const [x, y] = [random.uniform() * 280, random.uniform() * 280];
      return [x, y, x + 10 + 60 * random.uniform(), y + 10 + 60 * random.uniform()];
    }).flat(),
  );
  const selector = detectionSelector(anchors, classes, 0);
  return {
    /** Suppression alone, where so many scores are worth a look. */
    ofScores: (candidates: number): number => {
      const probabilities = new Float32Array(anchors * classes);
      for (let i = 0; i < candidates; i++)
        probabilities[random.integer(anchors) * classes + 1 + random.integer(90)] =
          0.02 + 0.9 * random.uniform();
      return medianOf(() => selector.ofProbabilities(boxes, probabilities, rule));
    },
    /** With the softmax; the background's logits lie so far above the others. */
    ofLogits: (lead: number, leastScore: number): { found: number; ms: number } => {
      const logits = Float32Array.from(
        { length: anchors * classes },
        (_, i) => 1.5 * random.normal() + (i % classes === 0 ? lead : 0),
      );
      const own = { ...rule, leastScore };
      return {
        found: selector.ofLogits(boxes, logits, own).length,
        ms: medianOf(() => selector.ofLogits(boxes, logits, own)),
      };
    },
  };
}

const machine = describeMachine(undefined);
console.log(
  `${machine.cpu}, ${machine.cores} cores, ${machine.node}, commit ${machine.commit}${machine.dirty ? ' (changed)' : ''}, load ${machine.load}; picture ${picture.width}×${picture.height}`,
);
const detector = seededHead(detectHead('torchvision', 320), 90, 320);
const segmenter = seededHead(segmentHead('torchvision'), 21, 512);
for (const threads of options.threads.split(',').map(Number)) {
  if (options.tasks.includes('detection'))
    await contest('detection, 320 px', threads, await detectRows(detector, threads));
  if (options.tasks.includes('segmentation'))
    await contest('segmentation, 512 px', threads, await segmentRows(segmenter, threads));
}
const suppression = suppressionCase();
console.log('\nsuppression of 3,234 anchors × 90 classes, one thread');
for (const candidates of [400, 4000, 40_000])
  console.log(`${candidates} candidates: ${suppression.ofScores(candidates).toFixed(2)} ms`);
for (const lead of [12, 8, 0])
  for (const leastScore of [0.02, 0.001]) {
    const { found, ms } = suppression.ofLogits(lead, leastScore);
    console.log(
      `softmax included, background ${lead} above, scores from ${leastScore}: ${ms.toFixed(2)} ms, ${found} boxes`,
    );
  }
mkdirSync('bench/results', { recursive: true });
const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '');
writeFileSync(
  `bench/results/heads-${stamp}.json`,
  `${JSON.stringify({ machine, options, results }, null, 1)}\n`,
);
process.exit(0);
