/** The CPU engine in pages and web workers: WebAssembly, on several threads where memory can be shared. */
import { wasmFeatures } from '../../assembler/wasm/wasm-features.ts';
import { type CpuEngineParts, createCpuEngine } from '../../engine/cpu/cpu-engine.ts';
import type { Engine } from '../../engine/engine.ts';
import { wasmProviders } from '../wasm-provider.ts';
import { createBrowserThreadPool } from './threads.ts';

export interface BrowserCpuOptions {
  /** Where threads-worker.js is served, when the bundler does not place it. */
  readonly helperUrl?: string | URL;
}

let parts: CpuEngineParts | undefined;
let engine: Engine | undefined;

/** One engine, and one pool of threads, for this page or worker. */
export function browserCpuEngine(options: BrowserCpuOptions = {}): Engine {
  engine ??= createCpuEngine(browserCpuParts(options));
  return engine;
}

/** What engines of this page or worker are made of. */
export function browserCpuParts(options: BrowserCpuOptions = {}): CpuEngineParts {
  parts ??= compose(options);
  return parts;
}

function compose({ helperUrl }: BrowserCpuOptions): CpuEngineParts {
  const features = wasmFeatures();
  const machines = wasmProviders(features);
  if (features.threads && globalThis.crossOriginIsolated)
    return { machines, pool: createBrowserThreadPool(helperUrl) };
  console.info(
    'mobileone: one thread, because memory cannot be shared here; serve the page with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.',
  );
  return { machines };
}
