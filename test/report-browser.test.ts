import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { reportFiles } from '../src/report/write-report.ts';
import { launchChromium, skipWithoutChromium } from './browser/chromium.ts';
import { sampleReport } from './support/sample-report.ts';

test('a browser shows the report whole, on a desk and on a phone, and asks for nothing else', {
  skip: skipWithoutChromium,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mobileone-report-'));
  const browser = await launchChromium();
  try {
    const files = await reportFiles(sampleReport());
    const path = join(folder, 'report.html');
    await writeFile(path, files.get('report.html') ?? '');
    for (const width of [1200, 390]) {
      const page = await browser.newPage({ viewport: { width, height: 800 } });
      const faults: string[] = [];
      page.on('console', (message) => faults.push(message.text()));
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('request', (request) => {
        if (request.url() !== pathToFileURL(path).href && !request.url().startsWith('data:'))
          faults.push(`asked for ${request.url()}`);
      });
      await page.goto(pathToFileURL(path).href);
      assert.equal(
        await page.evaluate('[...document.images].filter((i) => i.naturalWidth === 24).length'),
        5,
      );
      assert.equal(await page.evaluate('document.querySelectorAll("svg").length'), 6);
      assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= width);
      assert.deepEqual(faults, []);
      await page.close();
    }
  } finally {
    await browser.close();
    await rm(folder, { recursive: true });
  }
});
