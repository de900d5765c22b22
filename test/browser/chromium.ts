import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const candidates = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'];
const path = candidates.find((candidate) => candidate !== undefined && existsSync(candidate));

/** Value for a test's `skip` option. */
export const skipWithoutChromium: false | string =
  path === undefined ? 'no Chromium (install it, or set CHROMIUM to the path of one)' : false;

/** A headless Chromium that talks to nobody but the tests' own server. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    headless: true,
    ...(path === undefined ? {} : { executablePath: path }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
