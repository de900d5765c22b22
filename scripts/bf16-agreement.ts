/**
 * How far bf16 and bf16x2 lie from f32 on real pictures with Apple's S0 weights (golden files): equal top-1 answers and the
 * largest difference of a probability. Every 97th picture serves to calibrate bf16 once, and is then left out.
 *
 *     node dist/scripts/bf16-agreement.js [folder or file …]
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import { imagenetClasses } from '../src/hub/labels/class-names.ts';
import { evalTransforms } from '../src/image/eval-transform.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createNodeDecoder } from '../src/platform/node/image-decoder.ts';
import { createClassifier } from '../src/task/classify.ts';
import { readNet } from '../src/task/read-net.ts';
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
  const serves = (_: string, index: number): boolean => index % 97 === 13;
  const calibration = await Promise.all(
    files.filter(serves).map((file) => decoder.decode(readFileSync(file), { name: file })),
  );
  const rest = files.filter((file, index) => !serves(file, index));
  for (const [name, options] of [
    ['bf16', { precision: 'bf16' }],
    [`bf16, calibrated on ${calibration.length} pictures`, { precision: 'bf16', calibration }],
    ['bf16x2', { precision: 'bf16x2' }],
  ] as const) {
    const half = await createClassifier(source, { engine, ...options });
    let [equal, worst, squares] = [0, 0, 0];
    for (const file of rest) {
      const picture = await decoder.decode(readFileSync(file), { name: file });
      const [expected, found] = [await plain.classify(picture), await half.classify(picture)];
      const differences = expected.predScores.map((score, i) =>
        Math.abs(score - (found.predScores[i] ?? Number.NaN)),
      );
      const largest = Math.max(...differences);
      worst = Math.max(worst, largest);
      squares += largest ** 2;
      if (expected.predLabel === found.predLabel) equal++;
      if (expected.predLabel !== found.predLabel || largest > 0.02)
        console.log(
          `${file}: f32 ${expected.predClass} ${expected.predScore.toFixed(4)}, ${name} ${found.predClass} ${found.predScore.toFixed(4)}, largest difference ${largest.toFixed(4)}`,
        );
    }
    const share = ((100 * equal) / rest.length).toFixed(2);
    console.log(
      `${name}: ${rest.length} pictures: top-1 equal on ${equal} (${share} %), largest difference of a probability ${worst.toFixed(4)}, root mean square of each picture's largest ${Math.sqrt(squares / rest.length).toFixed(5)}`,
    );
  }
}

await main(process.argv.slice(2));
process.exit();
