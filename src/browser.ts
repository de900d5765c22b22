// The entry for pages and web workers: everything, put together with the page's cache and the portable decoder.
import { ImageError } from './errors.ts';
import { createPageStore } from './platform/browser/cache-store.ts';
import { type BrowserCpuOptions, browserCpuEngine } from './platform/browser/cpu-engine.ts';
import { type BrowserDecoderOptions, createBrowserDecoder } from './platform/browser/image-decoder.ts';
import type { Classification } from './task/classify.ts';
import {
  type ClassifyOptions,
  inferenceModel as inferenceModelOn,
  type LoadedClassifier,
  type LoadOptions,
  loadClassifier as loadClassifierOn,
  type Picture,
  type Platform,
} from './task/load-classifier.ts';

export * from './index.ts';
export { browserCpuEngine } from './platform/browser/cpu-engine.ts';
export { createBrowserDecoder } from './platform/browser/image-decoder.ts';
export { createBrowserPool } from './platform/browser/loader-workers.ts';
export { browserTrainingEngine } from './platform/browser/training-engine.ts';

export interface PageOptions extends LoadOptions {
  /** Where the JPEG decoder's WebAssembly is served, when the bundler does not place it. */
  readonly decoder?: BrowserDecoderOptions;
  /** Where the script of helper threads is served, when the bundler does not place it. */
  readonly helpers?: BrowserCpuOptions;
}

async function fetchPicture(address: string): Promise<Uint8Array> {
  const response = await fetch(address).catch((cause: unknown) => {
    throw new ImageError(`picture "${address}" cannot be fetched.`, { address }, { cause });
  });
  if (!response.ok)
    throw new ImageError(`picture "${address}": the server answered ${response.status}.`, { address });
  return new Uint8Array(await response.arrayBuffer());
}

function pagePlatform(options: PageOptions): Platform {
  return {
    hub: { store: createPageStore() },
    decoder: async () => createBrowserDecoder(options.decoder),
    engine: async () => browserCpuEngine(options.helpers),
    readPicture: fetchPicture,
  };
}

/** A model's name → a net ready for pictures: addresses, file bytes, or pixels such as an ImageData. */
export function loadClassifier(name: string, options: PageOptions = {}): Promise<LoadedClassifier> {
  return loadClassifierOn(pagePlatform(options), name, options);
}

/** One picture, one answer: predLabel, predScore, predScores, predClass, top. */
export function inferenceModel(
  model: string | LoadedClassifier,
  picture: Picture,
  options: PageOptions & ClassifyOptions = {},
): Promise<Classification> {
  return inferenceModelOn(pagePlatform(options), model, picture, options);
}
