/** The script of the test page: what the tests call in it. */
import {
  browserTrainingEngine,
  createBrowserDecoder,
  createBrowserPool,
  loadClassifier,
} from '../../src/browser.ts';
import type { CompileOptions } from '../../src/engine/engine.ts';
import { pageEngines } from './page-engines.ts';
import {
  classifyPixels,
  drawnPixels,
  type LoadedPictures,
  loadPictures,
  type NetResult,
  type NetSize,
  runNet,
  type TrainedRun,
  trainRun,
} from './page-tests.ts';

/** Everything here goes through a copy: numbers, text and plain arrays. */
export interface TestPage {
  readonly isolated: boolean;
  readonly run: (engine: string, size: NetSize, options: CompileOptions) => Promise<NetResult>;
  /** Probabilities for a picture that was put on a canvas's ImageData. */
  readonly classify: (engine: string) => Promise<readonly number[]>;
  /** RGB of a picture's bytes. */
  readonly decode: (bytes: readonly number[]) => Promise<{ size: readonly number[]; rgb: readonly number[] }>;
  /** Batches of pictures given by name and bytes, made by so many threads. */
  readonly load: (
    files: readonly (readonly [name: string, bytes: readonly number[]])[],
    workers: number,
  ) => Promise<LoadedPictures>;
  /** A run of training on a target. */
  readonly train: (options: CompileOptions) => Promise<TrainedRun>;
  /** The code of the error that an unknown model gives. */
  readonly unknownModel: () => Promise<string>;
}

async function open(name: string) {
  const engine = pageEngines.get(name);
  if (engine === undefined) throw new Error(`no engine "${name}" in the page`);
  return engine();
}

const page: TestPage = {
  isolated: crossOriginIsolated,
  run: async (engine, size, options) => runNet(await open(engine), size, options),
  classify: async (engine) => {
    const { width, height, data } = drawnPixels();
    return classifyPixels(await open(engine), new ImageData(data, width, height));
  },
  decode: async (bytes) => {
    const decoder = createBrowserDecoder({ jpegWasm: new URL('jpeg.wasm', location.href) });
    const { width, height, data } = await decoder.decode(Uint8Array.from(bytes));
    return { size: [width, height], rgb: Array.from(data) };
  },
  load: (files, workers) =>
    loadPictures(
      createBrowserPool({ workers, jpegWasm: new URL('jpeg.wasm', location.href) }),
      new Map(files.map(([name, bytes]) => [name, Uint8Array.from(bytes)])),
    ),
  train: (options) => trainRun(browserTrainingEngine(), options),
  unknownModel: async () => {
    try {
      await loadClassifier('no-such-model', { hub: { offline: true } });
      return 'none';
    } catch (error) {
      return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'untyped';
    }
  },
};
Object.assign(globalThis, { mobileoneTests: page });
