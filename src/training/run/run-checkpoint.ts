import { FormatError } from '../../errors.ts';
import { type ByteSource, memorySource } from '../../format/byte-source.ts';
import { readCheckpoint } from '../../format/read-checkpoint.ts';
import { writeSafetensors } from '../../format/safetensors/safetensors-write.ts';
import { trainingPrefix, writeNetMetadata } from '../../task/net-metadata.ts';
import { rawToTensor, tensorToRaw } from '../../tensor/raw.ts';
import type { RawTensor, Tensor, Weights } from '../../tensor/tensor.ts';
import { checkRunConfig, type RunConfig } from '../recipe/run-config.ts';
import { memoryName } from '../step/update-step.ts';
import { checkProgress, type Progress } from './run-progress.ts';

/**
 * A run at one moment, as one safetensors file. The net's own names hold the weights to evaluate with (averages, where
 * the recipe has them), so that everything that reads nets reads checkpoints too; what only training needs has names
 * that begin with `training.`: the weights being learned where they differ, and the optimizer's memory.
 */
export interface RunCheckpoint {
  readonly config: RunConfig;
  readonly progress: Progress;
  /** By the names of the step's parameters. */
  readonly state: Weights;
}

const keys = { config: 'mobileone.training.config', progress: 'mobileone.training.progress' } as const;
const averaged = memoryName('average', '');

export function encodeRunCheckpoint({ config, progress, state }: RunCheckpoint): Uint8Array {
  const tensors = new Map<string, RawTensor>();
  for (const [name, tensor] of state) tensors.set(fileName(name, state), tensorToRaw(tensor, 'f32'));
  return writeSafetensors(tensors, {
    ...writeNetMetadata(config),
    [keys.config]: JSON.stringify(config),
    [keys.progress]: JSON.stringify(progress),
  });
}

function fileName(name: string, state: Weights): string {
  if (name.startsWith(averaged)) return name.slice(averaged.length);
  const isPlain = !name.includes(':') && !state.has(averaged + name);
  return isPlain ? name : trainingPrefix + name;
}

/** Whether the metadata of a file say that it is a run's checkpoint. */
function isRunCheckpoint(metadata: Readonly<Record<string, string>>): boolean {
  return Object.hasOwn(metadata, keys.progress);
}

/** @throws FormatError when the file is damaged or no checkpoint of a run */
export async function readRunCheckpoint(source: Uint8Array | ByteSource): Promise<RunCheckpoint> {
  const checkpoint = await readCheckpoint(source instanceof Uint8Array ? memorySource(source) : source);
  const where = source instanceof Uint8Array ? 'checkpoint' : `checkpoint "${source.name}"`;
  if (!isRunCheckpoint(checkpoint.metadata))
    throw new FormatError(
      `${where}: expected a training run's checkpoint, found weights without its progress.`,
    );
  const tensors = new Map<string, Tensor>();
  for (const [name, lazy] of checkpoint.tensors) tensors.set(name, rawToTensor(await lazy.read()));
  const state = new Map<string, Tensor>();
  for (const [name, tensor] of tensors) {
    const stateName = name.startsWith(trainingPrefix)
      ? name.slice(trainingPrefix.length)
      : tensors.has(trainingPrefix + name)
        ? averaged + name
        : name;
    state.set(stateName, tensor);
  }
  return {
    config: checkRunConfig(parse(checkpoint.metadata[keys.config], where), where),
    progress: checkProgress(parse(checkpoint.metadata[keys.progress], where), where),
    state,
  };
}

function parse(text: string | undefined, where: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (cause) {
    throw new FormatError(
      `${where}: its metadata must be JSON, found ${JSON.stringify(text?.slice(0, 40))}.`,
      {},
      {
        cause,
      },
    );
  }
}
