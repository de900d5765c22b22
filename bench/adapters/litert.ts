import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { type LiteRt, liteRtMembers, runLiteRt } from '../runners/litert.ts';
import { type Adapter, importRival, litertFolder, missingRival, modelFiles } from './adapter.ts';

/**
 * LiteRT.js is made for pages: it loads its Emscripten script by `importScripts` and its WebAssembly by `fetch`,
 * and the script looks for Node's CommonJS names.
 * @returns which of its builds it has chosen, once it has
 */
function pretendPage(folder: string): () => string {
  let script = '';
  const globals = {
    self: globalThis,
    require: createRequire(import.meta.url),
    __dirname: folder,
    __filename: join(folder, 'script.js'),
    importScripts: (file: string) => {
      script = file;
      Object.assign(globalThis, { __filename: file });
      runInThisContext(readFileSync(file, 'utf8'), { filename: file });
    },
  };
  Object.assign(globalThis, globals);
  const original = globalThis.fetch;
  globalThis.fetch = async (address, options) =>
    typeof address === 'string' && address.startsWith('/')
      ? new Response(new Uint8Array(await readFile(address)), {
          headers: { 'content-type': 'application/wasm' },
        })
      : original(address, options);
  return () => basename(script);
}

export const litert: Adapter = async ({ variant, batch, threads, folder }) => {
  const missing = missingRival('@litertjs/core');
  if (missing) return { unavailable: missing };
  if (batch !== 1) return { unavailable: 'the TFLite file is of batch 1' };
  const scripts = join(folder, litertFolder, '/');
  const chosen = pretendPage(scripts);
  const lite = await importRival<LiteRt>('@litertjs/core/dist/index.js', liteRtMembers);
  const model = await readFile(join(folder, modelFiles.tflite(variant)));
  const runner = await runLiteRt(lite, scripts, model, threads);
  return { ...runner, info: { ...runner.info, build: chosen() } };
};
