import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { VariantName } from '../../src/model/config.ts';
import { type Runner, withMembers } from '../runners/runner.ts';

/** What one row runs. Model files lie in `folder` under the names of `modelFiles`. */
export interface RunnerOptions {
  readonly variant: VariantName;
  readonly batch: number;
  readonly threads: number;
  readonly folder: string;
  /** Of our engine: instruction set and precision. */
  readonly target?: string;
  readonly precision?: 'bf16';
  readonly quantized?: boolean;
}

export interface Unavailable {
  readonly unavailable: string;
}

export type Adapter = (options: RunnerOptions) => Promise<Runner | Unavailable>;

export const modelFiles = {
  weights: (variant: VariantName) => `${variant}.safetensors`,
  onnx: (variant: VariantName) => `${variant}.onnx`,
  quantized: (variant: VariantName) => `${variant}.int8.onnx`,
  tflite: (variant: VariantName) => `${variant}.tflite`,
} as const;

/** LiteRT's WebAssembly, as CommonJS. */
export const litertFolder = 'litert';

const rivalsFolder = fileURLToPath(new URL('../../../bench/rivals/node_modules', import.meta.url));

export const rivalPath = (file: string): string => join(rivalsFolder, file);

/** The reason to leave a row out, or undefined where the rival is installed. */
export function missingRival(name: string): string | undefined {
  return existsSync(rivalPath(name)) ? undefined : `${name} is not installed (npm run bench:rivals:install)`;
}

/**
 * A module of a rival, which this project's type checker does not know.
 * @param members that the module must have; their types are the caller's word
 */
export async function importRival<M>(file: string, members: readonly (keyof M & string)[]): Promise<M> {
  return withMembers<M>(await import(pathToFileURL(rivalPath(file)).href), file, members);
}
