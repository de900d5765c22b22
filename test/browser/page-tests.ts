/** What is run in a page and in Node alike, to compare the two: no platform is touched here. */
import type { Engine, SessionInfo } from '../../src/engine/engine.ts';
import { evalTransforms } from '../../src/image/eval-transform.ts';
import type { PixelSource } from '../../src/image/image.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { buildMobileOne, inputName } from '../../src/model/mobileone.ts';
import { createClassifier } from '../../src/task/classify.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { seededImages, seededWeights } from '../support/seeded-net.ts';

export type NetSize = 'narrow' | 's0';

export interface NetResult {
  readonly logits: readonly number[];
  readonly info: SessionInfo | undefined;
}

const narrow = mobileOneConfig('s0', { classes: 10, widths: [0.25, 0.25, 0.25, 0.25], pairs: [1, 2, 2, 1] });

/** A seeded deploy net on a seeded picture. */
export async function runNet(engine: Engine, size: NetSize, threads: number): Promise<NetResult> {
  const side = size === 'narrow' ? 64 : 224;
  const config = size === 'narrow' ? narrow : mobileOneConfig('s0');
  const graph = buildMobileOne(config, { form: 'deploy', height: side, width: side });
  const session = await engine.compile(graph, seededWeights(graph), { threads });
  try {
    const { logits } = await session.run({ [inputName]: seededImages(1, side) });
    return { logits: Array.from(logits?.data ?? []), info: session.info };
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
