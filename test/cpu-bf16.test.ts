/** Whole nets in bf16 on the CPU engine: probabilities against f32, and where bf16 is refused. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { EngineError, UsageError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import type { CheckedGraph } from '../src/graph/graph.ts';
import { imagenetClasses } from '../src/hub/labels/class-names.ts';
import { evalTransforms } from '../src/image/eval-transform.ts';
import type { Image } from '../src/image/image.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { type ClassifierOptions, createClassifier } from '../src/task/classify.ts';
import { readNet } from '../src/task/read-net.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Tensor, type Weights, zeros } from '../src/tensor/tensor.ts';
import { reparameterize } from '../src/transform/reparameterize.ts';
import { appleS0File, channelsLast } from './support/apple-s0.ts';
import { engine, pool, skipTarget } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';
import { golden, skipWithout } from './support/shared.ts';

after(() => pool.dispose());

const precisions = ['bf16', 'bf16x2'] as const;
const small = buildMobileOne(mobileOneConfig('s0'), { form: 'deploy', height: 32, width: 32 });

async function refusal(target: string | undefined): Promise<string | false> {
  const weights = initialWeights(small, 'timm', 1);
  try {
    (await engine.compile(small, weights, { precision: 'bf16', ...(target ? { target } : {}) })).dispose();
    return false;
  } catch (error) {
    assert.ok(error instanceof EngineError);
    return error.message;
  }
}

const lacking = await refusal(undefined);
const skip = lacking !== false && `no bf16 here: ${lacking}`;

for (const target of ['avx2', 'wasm-relaxed', 'wasm'])
  test(`bf16 on ${target} is refused, saying what it needs`, { skip: skipTarget(target) }, async () => {
    const message = await refusal(target);
    assert.match(String(message), new RegExp(`AMX-BF16 or AVX512-BF16; target ${target} has neither`));
  });

interface Compared {
  readonly graph: CheckedGraph;
  readonly weights: Weights;
  readonly image: Tensor;
}

async function differences({ graph, weights, image }: Compared, threads: number): Promise<readonly number[]> {
  const answer = async (precision: 'f32' | (typeof precisions)[number]): Promise<Tensor> => {
    const session = await engine.compile(graph, weights, { precision, threads });
    await session.run({ image });
    const { probabilities = zeros([0]) } = await session.run({ image });
    session.dispose();
    return probabilities;
  };
  const expected = await answer('f32');
  assert.ok(Math.max(...expected.data) < 0.9999, 'a certain answer shows no difference');
  const found = [];
  for (const precision of precisions) found.push(maxDifference(await answer(precision), expected).absolute);
  return found;
}

describe('bf16 on the CPU engine', { skip }, () => {
  for (const variant of ['s0', 's4'] as const)
    for (const form of ['train', 'deploy'] as const)
      test(`MobileOne ${variant}, ${form} form, batch 2: probabilities within 0.02 of f32`, async () => {
        const config = mobileOneConfig(variant, { classes: 10, widths: [0.5, 0.5, 0.5, 0.5] });
        const outputs = ['probabilities'] as const;
        const graph = buildMobileOne(config, { form: 'train', height: 64, width: 64, batch: 2, outputs });
        const train = { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 7), 8) };
        const net = form === 'train' ? train : reparameterize(train);
        const random = createRandom(3);
        const shape = [2, 64, 64, 3];
        const image = normalTensor(shape, random);
        const [plain = 1, twice = 1] = await differences({ ...net, image }, 2);
        assert.ok(plain > 0 && plain <= 0.02, `bf16 ${plain}`);
        assert.ok(twice > 0 && twice <= 0.02, `bf16x2 ${twice}`);
      });

  test("Apple's S0 weights on apple.png", { skip: skipWithout('data', 'mobileone-s0-apple') }, async () => {
    const { config, weights } = await readNet(memorySource(appleS0File(), 'apple-s0'));
    const bytes = readFileSync(golden('data', 'mobileone-s0-apple', 'apple.bin'));
    const planes = new Float32Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    );
    const image = { shape: [1, 224, 224, 3], data: channelsLast(planes, 3, 224, 224) };
    const graph = buildMobileOne(config, { form: 'deploy', outputs: ['probabilities'] });
    const [plain = 1, twice = 1] = await differences({ graph, weights, image }, 1);
    // bf16 misses 0.02 with these weights unless it is calibrated: 0.049 on this picture, 0.095 at worst over the photos
    // that scripts/bf16-agreement.ts runs. This bound only keeps it from growing.
    assert.ok(plain <= 0.05, `bf16 ${plain}`);
    assert.ok(twice <= 0.02, `bf16x2 ${twice}`);
  });

  test('calibrated on some photos, bf16 stays within 0.02 of f32 on others', {
    skip: skipWithout('data', 'cls-grocery') || skipWithout('data', 'mobileone-s0-apple'),
  }, async () => {
    const folder = golden('data', 'cls-grocery', 'val');
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const photos = names.filter((name) => name.endsWith('.jpg')).sort();
    const decoder = await createNodeDecoder();
    const pictures: Image[] = [];
    for (const name of photos.filter((_, i) => i % 10 === 0))
      pictures.push(await decoder.decode(readFileSync(join(folder, name)), { name }));
    const { config, form, weights } = await readNet(memorySource(appleS0File(), 'apple-s0'));
    const labels = imagenetClasses().map((row) => row.shortName);
    const source = { config, form, weights, transform: evalTransforms.apple, labels };
    const calibration = pictures.filter((_, i) => i % 2 === 0);
    const others = pictures.filter((_, i) => i % 2 === 1);
    const answers = async (options: Partial<ClassifierOptions>): Promise<readonly Float32Array[]> => {
      const classifier = await createClassifier(source, { engine, threads: 1, ...options });
      const found: Float32Array[] = [];
      for (const picture of others) found.push((await classifier.classify(picture)).predScores);
      classifier.dispose();
      return found;
    };
    const exact = await answers({});
    const worst = (found: readonly Float32Array[]): number =>
      Math.max(
        ...found.flatMap((scores, i) => Array.from(scores, (p, j) => Math.abs(p - (exact[i]?.[j] ?? 0)))),
      );
    const plain = worst(await answers({ precision: 'bf16' }));
    const calibrated = worst(await answers({ precision: 'bf16', calibration }));
    assert.ok(others.length > 10 && plain > 0.02);
    // 0.017 at worst over the photos that scripts/bf16-agreement.ts runs.
    assert.ok(calibrated <= 0.02, `${calibrated} calibrated`);
    assert.ok(calibrated < plain / 3, `${calibrated} calibrated, ${plain} not`);
  });
});

test('calibration without bf16 is refused', async () => {
  const config = mobileOneConfig('s0', { classes: 2, widths: [0.25, 0.25, 0.25, 0.25] });
  const graph = buildMobileOne(config, { form: 'deploy' });
  const source = {
    config,
    form: 'deploy',
    weights: initialWeights(graph, 'timm', 1),
    transform: evalTransforms.apple,
    labels: ['a', 'b'],
  } as const;
  const picture = { width: 8, height: 8, data: new Uint8Array(192) };
  for (const options of [{}, { precision: 'bf16x2' }] as const)
    await assert.rejects(
      createClassifier(source, { engine, calibration: [picture], ...options }),
      (error: Error) =>
        error instanceof UsageError && error.message.includes('calibration is for precision "bf16"'),
    );
});
