/**
 * How far bf16 and bf16x2 lie from f32 on real pictures with Apple's S0 weights (golden files): equal top-1 answers, also
 * among pictures where the first class leads the second by 0.02, and the largest difference of a probability. One row has
 * bf16 weights but all else in f32: what rounding activations costs is the rest. Every 97th picture calibrates bf16 and is
 * left out then; beginning at other pictures makes more such rows, for a few near ties decide about tenths of a percent.
 *
 *     node dist/scripts/bf16-agreement.js [folder or file …]
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import { imagenetClasses } from '../src/hub/labels/class-names.ts';
import { evalTransforms } from '../src/image/eval-transform.ts';
import type { Image } from '../src/image/image.ts';
import type { MobileOneConfig } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { type Classification, type Classifier, createClassifier } from '../src/task/classify.ts';
import { readNet } from '../src/task/read-net.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../src/tensor/half.ts';
import { type Weights, zeros } from '../src/tensor/tensor.ts';
import { productsOf } from '../src/transform/products.ts';
import { appleS0File } from '../test/support/apple-s0.ts';
import { golden, skipWithout } from '../test/support/shared.ts';

const everywhere = ['mobileone-s0-apple', 'photos', 'coco-mini-cc', 'cls-grocery'];
const isPicture = (path: string): boolean => /\.(jpe?g|png)$/i.test(path);

function pictures(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .filter(isPicture)
    .sort()
    .map((name) => join(path, name));
}

/** Those of dense layers, each rounded to its nearest. */
function roundedWeights(config: MobileOneConfig, weights: Weights): Weights {
  const rounded = new Map(weights);
  for (const { weight } of productsOf(buildMobileOne(config, { form: 'deploy' }))) {
    const { shape, data } = weights.get(weight) ?? zeros([0]);
    rounded.set(weight, {
      shape,
      data: Float32Array.from(data, (value) => bfloat16ToNumber(numberToBfloat16(value))),
    });
  }
  return rounded;
}

/** Where sets of calibration pictures begin. */
const offsets = [13, 30, 50, 70, 90];
const EVERY = 97;
/** Of a probability. */
const CLEAR_LEAD = 0.02;

interface Row {
  readonly name: string;
  readonly classifier: Classifier;
  /** Whether a picture served to calibrate. */
  readonly knows: (index: number) => boolean;
}

interface Tally {
  pictures: number;
  equal: number;
  clear: number;
  clearEqual: number;
  worst: number;
  squares: number;
}

function count(tally: Tally, expected: Classification, found: Classification): number {
  let largest = 0;
  expected.predScores.forEach((score, i) => {
    largest = Math.max(largest, Math.abs(score - (found.predScores[i] ?? Number.NaN)));
  });
  const [first, second] = expected.top;
  const [equal, clear] = [
    Number(expected.predLabel === found.predLabel),
    Number((first?.score ?? 0) - (second?.score ?? 0) > CLEAR_LEAD),
  ];
  tally.pictures++;
  tally.equal += equal;
  tally.clear += clear;
  tally.clearEqual += equal * clear;
  tally.worst = Math.max(tally.worst, largest);
  tally.squares += largest ** 2;
  return largest;
}

function print(name: string, { pictures, equal, clear, clearEqual, worst, squares }: Tally): void {
  const share = ((100 * equal) / pictures).toFixed(2);
  const mean = Math.sqrt(squares / pictures).toFixed(5);
  console.log(
    `${name}: ${pictures} pictures: top-1 equal on ${equal} (${share} %), on ${clearEqual} of ${clear} whose first class leads by ${CLEAR_LEAD}; largest difference of a probability ${worst.toFixed(4)}, root mean square of each picture's largest ${mean}`,
  );
}

async function main(paths: readonly string[]): Promise<void> {
  const missing = skipWithout('data', 'mobileone-s0-apple');
  if (missing !== false) throw new UsageError(missing);
  const files = (paths.length > 0 ? paths : everywhere.map((name) => golden('data', name))).flatMap(pictures);
  const { config, form, weights } = await readNet(memorySource(appleS0File(), 'apple-s0'));
  const labels = imagenetClasses().map((row) => row.shortName);
  const source = { config, form, weights, transform: evalTransforms.apple, labels };
  const engine = await nodeCpuEngine();
  const plain = await createClassifier(source, { engine, precision: 'f32' });
  const decoder = await createNodeDecoder();
  const open = (file: string): Promise<Image> => decoder.decode(readFileSync(file), { name: file });
  const [usual] = offsets;
  const knows = (index: number): boolean => index % EVERY === usual;
  const rounded = { ...source, weights: roundedWeights(config, weights) };
  const rows: Row[] = [
    { name: 'bf16', knows, classifier: await createClassifier(source, { engine, precision: 'bf16' }) },
    { name: 'f32 with weights of bf16', knows, classifier: await createClassifier(rounded, { engine }) },
    { name: 'bf16x2', knows, classifier: await createClassifier(source, { engine, precision: 'bf16x2' }) },
  ];
  const uncalibrated = rows.length;
  for (const offset of offsets) {
    const mine = (index: number): boolean => index % EVERY === offset;
    const calibration = await Promise.all(files.filter((_, index) => mine(index)).map(open));
    if (calibration.length === 0) continue;
    const start = performance.now();
    const classifier = await createClassifier(source, { engine, precision: 'bf16', calibration });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const name = `bf16, calibrated on ${calibration.length} pictures from ${offset} on in ${seconds} s`;
    rows.push({ name, classifier, knows: mine });
  }
  const tallies = rows.map(
    (): Tally => ({ pictures: 0, equal: 0, clear: 0, clearEqual: 0, worst: 0, squares: 0 }),
  );
  for (const [index, file] of files.entries()) {
    const picture = await open(file);
    const expected = await plain.classify(picture);
    for (const [i, { name, classifier, knows }] of rows.entries()) {
      const tally = tallies[i];
      if (tally === undefined || knows(index)) continue;
      const found = await classifier.classify(picture);
      const largest = count(tally, expected, found);
      if (expected.predLabel !== found.predLabel || largest > 0.02)
        console.log(
          `${file}: f32 ${expected.predClass} ${expected.predScore.toFixed(4)}, ${name} ${found.predClass} ${found.predScore.toFixed(4)}, largest difference ${largest.toFixed(4)}`,
        );
    }
  }
  for (const [i, tally] of tallies.entries()) print(rows[i]?.name ?? '', tally);
  const calibrated = tallies.slice(uncalibrated);
  const share =
    calibrated.reduce((sum, { equal, pictures }) => sum + equal / pictures, 0) / calibrated.length;
  console.log(`bf16, calibrated, on average: top-1 equal on ${(100 * share).toFixed(2)} %`);
}

await main(process.argv.slice(2));
process.exit();
