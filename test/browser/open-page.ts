import type { Browser, Page } from 'playwright-core';
import { bundlePage } from './bundle-page.ts';
import { launchChromium } from './chromium.ts';
import type { TestPage } from './page.ts';
import { servePages } from './serve.ts';

/** The test page in Chromium. Calls go to the page's functions by name. */
export interface OpenPage {
  readonly call: <K extends Exclude<keyof TestPage, 'isolated'>>(
    name: K,
    ...args: Parameters<TestPage[K]>
  ) => Promise<Awaited<ReturnType<TestPage[K]>>>;
  readonly isolated: () => Promise<boolean>;
  /** What the page wrote to its console, and errors that nothing caught. */
  readonly messages: readonly string[];
  readonly close: () => Promise<void>;
}

export interface TestBrowser {
  readonly imports: readonly string[];
  readonly open: (isolated: boolean) => Promise<OpenPage>;
  readonly close: () => Promise<void>;
}

async function openPage(browser: Browser, address: string): Promise<OpenPage> {
  const page: Page = await browser.newPage();
  const messages: string[] = [];
  page.on('console', (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => messages.push(`uncaught: ${error.message}`));
  await page.goto(address);
  await page.waitForFunction('globalThis.mobileoneTests !== undefined');
  return {
    call: (name, ...args) => page.evaluate(`mobileoneTests.${name}(...${JSON.stringify(args)})`),
    isolated: () => page.evaluate('mobileoneTests.isolated'),
    messages,
    close: () => page.close(),
  };
}

/** Bundles and serves the page and starts Chromium. */
export async function openBrowser(): Promise<TestBrowser> {
  const { files, imports } = await bundlePage();
  const server = await servePages((name) => files.get(name));
  const browser = await launchChromium();
  return {
    imports,
    open: (isolated) => openPage(browser, server.address('index.html', isolated)),
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}
