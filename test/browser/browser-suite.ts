import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { pillow, sha256 } from '../support/pillow.ts';
import { skipWithoutChromium } from './chromium.ts';
import { type OpenPage, openBrowser, type TestBrowser } from './open-page.ts';
import { pageEngines } from './page-engines.ts';
import { classifyPixels, drawnPixels, type NetSize, runNet } from './page-tests.ts';

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

      test('an unknown model is a HubError', async () => {
        assert.equal(await page.call('unknownModel'), 'hub');
      });

      test('the console says once that there is one thread, and why, or nothing', () => {
        assert.equal(page.messages.length, isolated ? 0 : 1, page.messages.join('\n'));
        for (const message of page.messages) assert.match(message, /one thread.*Cross-Origin-Opener-Policy/);
      });
    });
}
