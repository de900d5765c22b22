/** What is run in a page and in Node alike, to compare the two: no platform is touched here. */
import { memoryFiles } from '../../src/data/files.ts';
import type { BatchPool } from '../../src/data/loader/batch.ts';
import { createLoader } from '../../src/data/loader/loader.ts';
import type { CompileOptions, Engine, SessionInfo } from '../../src/engine/engine.ts';
import { evalTransforms } from '../../src/image/eval-transform.ts';
import type { PixelSource } from '../../src/image/image.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { buildMobileOne, inputName } from '../../src/model/mobileone.ts';
import { createClassifier } from '../../src/task/classify.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { memoryRunStore } from '../../src/training/run/run-store.ts';
import { train } from '../../src/training/run/train.ts';
import { seededImages, seededWeights } from '../support/seeded-net.ts';
import { tinyConfig, tinyData, tinyWeights } from '../support/tiny-run.ts';

export type NetSize = 'narrow' | 's0';

export interface NetResult {
  readonly logits: readonly number[];
  readonly info: SessionInfo | undefined;
}

const narrow = mobileOneConfig('s0', { classes: 10, widths: [0.25, 0.25, 0.25, 0.25], pairs: [1, 2, 2, 1] });

const runs = 5;

/**
 * A seeded deploy net on a seeded picture, several times.
 * @throws Error when the answers are not the same each time
 */
export async function runNet(engine: Engine, size: NetSize, options: CompileOptions): Promise<NetResult> {
  const side = size === 'narrow' ? 64 : 224;
  const config = size === 'narrow' ? narrow : mobileOneConfig('s0');
  const graph = buildMobileOne(config, { form: 'deploy', height: side, width: side });
  const session = await engine.compile(graph, seededWeights(graph), options);
  const image = seededImages(1, side);
  try {
    const answers: string[] = [];
    let logits: readonly number[] = [];
    for (let i = 0; i < (engine.name === 'reference' ? 1 : runs); i++) {
      logits = Array.from((await session.run({ [inputName]: image })).logits?.data ?? []);
      answers.push(logits.join());
    }
    if (new Set(answers).size > 1) throw new Error('the same picture got different answers');
    return { logits, info: session.info };
  } finally {
    session.dispose();
  }
}

/** A picture with edges and gradients, RGBA as a canvas gives it. */
export function drawnPixels(): {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
} {
  const [width, height] = [97, 71];
  const random = createRandom(5);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const inside = Math.hypot(x - 48, y - 35) < 25;
    data.set([inside ? 230 : x * 2, inside ? 40 : y * 3, random.integer(256), 255], 4 * i);
  }
  return { width, height, data };
}

/** Probabilities of the narrow net for pixels from memory. */
export async function classifyPixels(engine: Engine, pixels: PixelSource): Promise<readonly number[]> {
  const graph = buildMobileOne(narrow, { form: 'deploy' });
  const classifier = await createClassifier(
    {
      config: narrow,
      form: 'deploy',
      weights: seededWeights(graph),
      transform: evalTransforms['plain-224'],
      labels: Array.from({ length: 10 }, (_, i) => `class ${i}`),
    },
    { engine },
  );
  const { predScores } = await classifier.classify(pixels);
  classifier.dispose();
  return Array.from(predScores);
}

export interface LoadedPictures {
  /** Of two epochs: each batch's indices and the sums of its pictures' and targets' numbers, weighted by place. */
  readonly batches: readonly (readonly number[])[];
  readonly cached: number;
  readonly broken: readonly string[];
}

/** Augmented, mixed and cached batches of files in memory. */
export async function loadPictures(
  pool: BatchPool,
  contents: ReadonlyMap<string, Uint8Array>,
): Promise<LoadedPictures> {
  const samples = [...contents.keys()].map((path, index) => ({ path, target: index % 2 }));
  const dataset = { name: 'memory', files: memoryFiles('memory', contents), samples, classes: ['a', 'b'] };
  const loader = createLoader(dataset, pool, {
    batchSize: 2,
    cacheBytes: 1e6,
    pictures: {
      kind: 'train',
      augmentation: {
        crop: { area: [0.3, 1], ratio: [0.75, 4 / 3] },
        flip: 0.5,
        randAugment: { count: 2, level: 7, deviation: 0.5 },
        autoAugment: false,
        color: null,
        erase: 0,
      },
      mixup: 1,
      cutmix: 1,
      interpolation: 'bilinear',
      normalization: evalTransforms.apple,
      size: 16,
      strength: 1,
    },
  });
  const weighted = (data: Float32Array): number =>
    data.reduce((sum, value, i) => sum + value * ((i % 97) + 1), 0);
  const batches: number[][] = [];
  for (const epoch of [0, 1])
    for await (const { images, targets, indices, release } of loader.epoch(epoch)) {
      batches.push([...indices, weighted(images), weighted(targets)]);
      release();
    }
  await pool.close();
  const { cachedPictures, broken } = loader.stats();
  return { batches, cached: cachedPictures, broken: broken.map(({ path }) => path) };
}

export interface TrainedRun {
  /** Mean loss of each epoch's training pictures. */
  readonly losses: readonly number[];
  /** Of the validation pictures, with averaged weights in deploy form. */
  readonly scores: readonly (number | null)[];
  /** Names of what the run left in its store. */
  readonly files: readonly string[];
}

/** A whole run of training, from fresh weights to the fused model, kept in memory. */
export async function trainRun(engine: Engine, compile: CompileOptions): Promise<TrainedRun> {
  const store = memoryRunStore();
  const config = tinyConfig({ epochs: 30 });
  const { progress } = await train({
    ...{ engine, compile, config, store },
    weights: tinyWeights(),
    data: tinyData(),
  });
  const { history } = progress;
  return {
    losses: history.map(({ trainLoss }) => trainLoss),
    scores: history.map(({ loss = null }) => loss),
    files: [...store.files.keys()].sort(),
  };
}
