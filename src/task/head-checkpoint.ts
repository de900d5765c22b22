import { FormatError, WeightsError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import { detectFamily } from '../format/names/family-names.ts';
import { matchWeights, weightsError } from '../format/names/match-weights.ts';
import { readCheckpoint } from '../format/read-checkpoint.ts';
import { writeSafetensors } from '../format/safetensors/safetensors-write.ts';
import { valueAt } from '../graph/graph.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { inferConfig } from '../model/infer-config.ts';
import { rawToTensor, tensorToRaw } from '../tensor/raw.ts';
import type { Shape, Tensor } from '../tensor/tensor.ts';
import { buildHeadNet, exactSize, type HeadNet } from './head-net.ts';
import { type NetMetadata, readNetMetadata, writeNetMetadata } from './net-metadata.ts';
import { withoutTraining } from './read-net.ts';
import type { TaskHead } from './task-head.ts';

/** A net for detection or segmentation as a file holds it. */
export interface NamedHeadNet<H extends TaskHead = TaskHead> extends HeadNet<H> {
  /** What the file calls itself, else its backbone's. */
  readonly name: string;
}

/** A safetensors file that answers for itself: task, style, anchors, classes and transform stand beside the tensors. */
export function encodeHeadNet(
  { head, weights, labels, transform, name, categoryIds }: Omit<NamedHeadNet, 'config' | 'form'>,
  dtype: 'f32' | 'f16' | 'bf16' = 'f32',
): Uint8Array {
  const tensors = new Map([...weights].map(([key, tensor]) => [key, tensorToRaw(tensor, dtype)]));
  return writeSafetensors(
    tensors,
    writeNetMetadata({ name, labels, transform, head, ...(categoryIds && { categoryIds }) }),
  );
}

/** What a file says of its head, from its first bytes; undefined for a classifier. @throws FormatError */
export async function readTaskHead(source: ByteSource): Promise<TaskHead | undefined> {
  return readNetMetadata((await readCheckpoint(source)).metadata, source.name).head;
}

/**
 * @throws FormatError when the file does not say what its head, classes and transform are; WeightsError when its
 *   tensors are not those of the net it describes
 */
export async function readHeadNet(source: ByteSource): Promise<NamedHeadNet> {
  const checkpoint = withoutTraining(await readCheckpoint(source));
  const metadata = readNetMetadata(checkpoint.metadata, source.name);
  const { head, labels, transform } = completeMetadata(metadata, source.name);
  const { family } = detectFamily(checkpoint.tensors.keys());
  if (family !== 'mobileone')
    throw new WeightsError(`weights "${source.name}": heads are read under this project's names only.`);
  const found = new Map<string, Shape>([...checkpoint.tensors].map(([name, { shape }]) => [name, shape]));
  const { config, form } = inferConfig(found);
  const match = matchWeights(headParameterShapes(head, config, labels.length, form, found.keys()), found);
  if (!match.complete) throw weightsError(source.name, match);
  const weights = new Map<string, Tensor>();
  for (const [name, tensor] of checkpoint.tensors) weights.set(name, rawToTensor(await tensor.read()));
  const { name = config.name, categoryIds } = metadata;
  return { head, labels, transform, config, form, weights, name, ...(categoryIds && { categoryIds }) };
}

function completeMetadata({ head, labels, transform }: NetMetadata, where: string) {
  if (head === undefined || labels === undefined || transform === undefined)
    throw new FormatError(
      `${where}: a net with a head must say beside its tensors what its task, class names and transform are; mobileone.task, mobileone.labels or mobileone.transform is missing.`,
    );
  exactSize(transform);
  return { head, labels, transform };
}

/** Names and shapes of all parameters of a net with a head. @param names in the file; tell whether the training head is there */
export function headParameterShapes(
  head: TaskHead,
  config: MobileOneConfig,
  objects: number,
  form: Form,
  names: Iterable<string>,
): ReadonlyMap<string, Shape> {
  const auxiliary = [...names].some((name) => name.startsWith('auxiliary.'));
  const { graph } = buildHeadNet(head, config, objects, { form, height: 64, width: 64, auxiliary });
  return new Map(
    graph.parameters.map(({ value }) => {
      const { name, shape } = valueAt(graph, value);
      return [name, shape];
    }),
  );
}
