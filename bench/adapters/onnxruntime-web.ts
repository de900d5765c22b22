import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OrtWeb, ortMembers, runOrtWeb } from '../runners/onnxruntime-web.ts';
import { type Adapter, importRival, missingRival, modelFiles } from './adapter.ts';

export const onnxruntimeWeb: Adapter = async ({ variant, batch, threads, folder }) => {
  const missing = missingRival('onnxruntime-web');
  if (missing) return { unavailable: missing };
  const ort = await importRival<OrtWeb>('onnxruntime-web/dist/ort.node.min.mjs', ortMembers);
  const model = await readFile(join(folder, modelFiles.onnx(variant)));
  return runOrtWeb(ort, new Uint8Array(model), batch, threads);
};
