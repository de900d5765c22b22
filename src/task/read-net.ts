import { WeightsError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import type { Checkpoint, Container } from '../format/checkpoint.ts';
import type { Family } from '../format/names/key-maps.ts';
import { matchWeights, weightsError } from '../format/names/match-weights.ts';
import { readCheckpoint } from '../format/read-checkpoint.ts';
import { readWeights } from '../format/weights-file.ts';
import { valueAt } from '../graph/graph.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { inferConfig } from '../model/infer-config.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import type { Shape, Weights } from '../tensor/tensor.ts';
import { type NetMetadata, readNetMetadata, trainingPrefix } from './net-metadata.ts';
import { taskTitles } from './task-head.ts';

/** A checkpoint understood: whose it is, which net it fits, and its tensors under our names. */
export interface CheckpointNet {
  readonly container: Container;
  readonly family: Family;
  readonly form: Form;
  readonly config: MobileOneConfig;
  readonly weights: Weights;
  readonly metadata: NetMetadata;
}

/**
 * Reads a checkpoint of any family, container and form; widths, depths, k and classes follow from its tensors.
 * @throws FormatError for damaged bytes; WeightsError for another net's tensors, listing what is missing,
 *   unexpected or of a wrong shape, and the likely cause
 */
export async function readNet(source: ByteSource): Promise<CheckpointNet> {
  const checkpoint = withoutTraining(await readCheckpoint(source));
  const metadata = readNetMetadata(checkpoint.metadata, source.name);
  if (metadata.head)
    throw new WeightsError(
      `weights "${source.name}" are a net for ${taskTitles[metadata.head.task]}, where one for classification is expected; predict, info, inspect and export take both.`,
    );
  const { family, form, weights, unknown } = await readWeights(checkpoint);
  const found = new Map<string, Shape>([...weights].map(([name, tensor]) => [name, tensor.shape]));
  const { config } = inferConfig(found);
  for (const name of unknown) found.set(name, checkpoint.tensors.get(name)?.shape ?? []);
  const match = matchWeights(parameterShapes(config, form), found);
  if (!match.complete) throw weightsError(source.name, match);
  return {
    container: checkpoint.container,
    family,
    form,
    config,
    weights,
    metadata,
  };
}

/** A run's checkpoint as that of the net it trains. */
export function withoutTraining(checkpoint: Checkpoint): Checkpoint {
  const tensors = [...checkpoint.tensors].filter(([name]) => !name.startsWith(trainingPrefix));
  return { ...checkpoint, tensors: new Map(tensors) };
}

/** Names and shapes of every parameter of a net, head included. */
export function parameterShapes(config: MobileOneConfig, form: Form): ReadonlyMap<string, Shape> {
  const graph = buildMobileOne(config, { form, height: 32, width: 32 });
  return new Map(
    graph.parameters.map(({ value }) => {
      const { name, shape } = valueAt(graph, value);
      return [name, shape];
    }),
  );
}
