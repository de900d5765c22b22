import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { encodePng } from '../../src/image/encode-png.ts';
import { nodeCpuEngine } from '../../src/platform/node/cpu-engine.ts';
import { createNodePool } from '../../src/platform/node/loader-workers.ts';
import { pillow, seededImage, sha256 } from '../support/pillow.ts';
import { skipWithoutChromium } from './chromium.ts';
import { type OpenPage, openBrowser, type TestBrowser } from './open-page.ts';
import { pageEngines } from './page-engines.ts';
import { classifyPixels, drawnPixels, loadPictures, type NetSize, runNet, trainRun } from './page-tests.ts';

const variants = [
  { engine: 'reference', target: undefined, threads: 1 },
  ...['wasm-relaxed', 'wasm'].flatMap((target) =>
    [1, 2, 3].map((threads) => ({ engine: 'cpu', target, threads })),
  ),
];

/** f32 arithmetic in another order, relative to the largest number. */
const tolerance = 1e-4;

function assertClose(found: readonly number[], expected: readonly number[], what: string): void {
  assert.equal(found.length, expected.length, what);
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
  assert.ok(worst <= tolerance * scale, `${what}: ${worst} of ${scale}`);
}

/** Four PNGs, two JPEGs, and a file that is neither. */
async function loaderFiles(): Promise<(readonly [string, Uint8Array])[]> {
  const pngs = [0, 1, 2, 3].map(
    async (n) => [`${n}.png`, await encodePng(seededImage(20 + n, 18, n))] as const,
  );
  const { baseline, progressive } = pillow.jpeg;
  const jpegs = [baseline, progressive].map(
    (file, n) => [`${n}.jpg`, new Uint8Array(Buffer.from(file?.base64 ?? '', 'base64'))] as const,
  );
  return [...(await Promise.all(pngs)), ...jpegs, ['bad.png', Uint8Array.of(1, 2, 3)]];
}

/**
 * What works in Node works in a page, cross-origin isolated or not.
 * @param sizes nets to run
 */
export function browserSuite(sizes: readonly NetSize[]): void {
  let browser: TestBrowser;
  before(async () => {
    if (!skipWithoutChromium) browser = await openBrowser();
  });
  after(async () => {
    if (!skipWithoutChromium) await browser.close();
  });

  test('the bundle imports nothing from outside', { skip: skipWithoutChromium }, () => {
    assert.deepEqual(browser.imports, []);
  });

  for (const isolated of [true, false])
    describe(`a page that is ${isolated ? '' : 'not '}cross-origin isolated`, {
      skip: skipWithoutChromium,
    }, () => {
      let page: OpenPage;
      before(async () => {
        page = await browser.open(isolated);
      });
      after(() => page.close());

      test('is what it should be', async () => {
        assert.equal(await page.isolated(), isolated);
      });

      for (const size of sizes)
        test(`net ${size}: Node's logits on every engine, target and number of threads`, async () => {
          const { logits: expected } = await runNet(referenceEngine, size, {});
          for (const { engine, target, threads } of variants) {
            const options = { threads, ...(target && { target }) };
            const { logits, info } = await page.call('run', engine, size, options);
            const what = `${engine} ${target ?? ''} ${threads}`;
            assertClose(logits, expected, what);
            if (engine === 'cpu') assert.equal(info?.threads, isolated ? threads : 1, what);
          }
        });

      for (const engine of pageEngines.keys())
        test(`engine ${engine}: an ImageData gets Node's probabilities`, async () => {
          const expected = await classifyPixels(referenceEngine, drawnPixels());
          assertClose(await page.call('classify', engine), expected, 'probabilities');
        });

      test("JPEGs: Pillow's pixels; CMYK is an ImageError", async () => {
        for (const [name, { base64, uprightSize, uprightSha256 }] of Object.entries(pillow.jpeg)) {
          const decoded = page.call('decode', [...Buffer.from(base64, 'base64')]);
          if (name === 'cmyk') {
            await assert.rejects(decoded, /MobileOneImageError/);
            continue;
          }
          const { size, rgb } = await decoded;
          assert.deepEqual(size, uprightSize, name);
          assert.equal(sha256(Uint8Array.from(rgb)), uprightSha256, name);
        }
      });

      test("threads that load pictures: Node's batches, whatever their number", async () => {
        const files = await loaderFiles();
        const expected = await loadPictures(await createNodePool({ workers: 0 }), new Map(files));
        assert.deepEqual([expected.cached, expected.broken], [6, ['bad.png']]);
        const plain = files.map(([name, bytes]) => [name, [...bytes]] as const);
        for (const workers of [0, 1, 2])
          assert.deepEqual(await page.call('load', plain, workers), expected, `${workers}`);
      });

      test("a run of training: Node's losses, scores and files", async () => {
        const expected = await trainRun(await nodeCpuEngine(), { target: 'wasm', threads: 1 });
        const learned = (losses: readonly number[]): boolean => (losses.at(-1) ?? 1) < 0.7 * (losses[0] ?? 0);
        assert.ok(learned(expected.losses), expected.losses.join(' '));
        for (const threads of [1, 2]) {
          const { losses, scores, files } = await page.call('train', { target: 'wasm', threads });
          assert.deepEqual(losses, expected.losses);
          // Scores are made with the browser's own exponentials.
          assertClose(scores.map(Number), expected.scores.map(Number), 'scores');
          assert.deepEqual(files, expected.files);
        }
        const relaxed = await page.call('train', { target: 'wasm-relaxed', threads: 2 });
        assert.ok(learned(relaxed.losses), relaxed.losses.join(' '));
        // Its sums are rounded once where the others' are rounded twice; steps of training let that grow.
        assertClose(relaxed.losses.slice(0, 2), expected.losses.slice(0, 2), 'first losses, relaxed');
      });

      test('an unknown model is a HubError', async () => {
        assert.equal(await page.call('unknownModel'), 'hub');
      });

      test('the console says once that there is one thread, and why, or nothing', () => {
        assert.equal(page.messages.length, isolated ? 0 : 1, page.messages.join('\n'));
        for (const message of page.messages) assert.match(message, /one thread.*Cross-Origin-Opener-Policy/);
      });
    });
}
