import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { VariantName } from '../../src/model/config.ts';

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

/** An engine with a net and a batch of pictures in it. */
export interface Runner {
  /** Version, the threads it says it uses, … */
  readonly info: Readonly<Record<string, string | number>>;
  /** Pictures in, logits out: feeding and reading are part of what is timed, changes of layout are not. */
  readonly run: () => Promise<Float32Array>;
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

function hasMembers<M>(module: unknown, members: readonly (keyof M & string)[]): module is M {
  return typeof module === 'object' && module !== null && members.every((name) => name in module);
}

/**
 * A module of a rival, which this project's type checker does not know.
 * @param members that the module must have; their types are the caller's word
 */
export async function importRival<M>(file: string, members: readonly (keyof M & string)[]): Promise<M> {
  const module: unknown = await import(pathToFileURL(rivalPath(file)).href);
  if (!hasMembers<M>(module, members))
    throw new Error(`bench/rivals: ${file} must have ${members.join(', ')}; install it anew.`);
  return module;
}
