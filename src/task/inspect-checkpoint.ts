import { MobileOneError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import type { CheckpointExtra, Container, LazyTensor } from '../format/checkpoint.ts';
import { detectFamily, toCanonicalNames } from '../format/names/family-names.ts';
import type { Family } from '../format/names/key-maps.ts';
import { matchWeights, type WeightsMatch } from '../format/names/match-weights.ts';
import { readCheckpoint } from '../format/read-checkpoint.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { inferConfig } from '../model/infer-config.ts';
import type { DType } from '../tensor/dtype.ts';
import { elementCount, type Shape } from '../tensor/tensor.ts';
import { headParameterShapes } from './head-checkpoint.ts';
import { type NetMetadata, readNetMetadata } from './net-metadata.ts';
import { parameterShapes } from './read-net.ts';

export interface InspectedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** What this project calls it; undefined for what a MobileOne does not have. */
  readonly canonical: string | undefined;
}

/** How the tensors fit a MobileOne net. */
export interface InspectedNet {
  readonly family: Family;
  readonly form: Form;
  readonly config: MobileOneConfig;
  readonly match: WeightsMatch;
}

export interface InspectedCheckpoint {
  readonly container: Container;
  /** Size of the file. */
  readonly bytes: number;
  readonly tensors: readonly InspectedTensor[];
  /** Numbers in all tensors together. */
  readonly elements: number;
  /** Text stored beside the tensors, as it stands in the file. */
  readonly stored: Readonly<Record<string, string>>;
  /** What of it this project wrote; undefined when it cannot be read, for the reason in `metadataFault`. */
  readonly metadata: NetMetadata | undefined;
  readonly metadataFault: string | undefined;
  readonly extra: CheckpointExtra;
  /** Undefined when the tensors are no MobileOne's, for the reason in `reason`. */
  readonly net: InspectedNet | undefined;
  readonly reason: string | undefined;
}

/**
 * What is in a checkpoint of any net: names, dtypes and shapes; no tensor is read and nothing is executed.
 * @throws FormatError when the bytes are no checkpoint
 */
export async function inspectCheckpoint(source: ByteSource): Promise<InspectedCheckpoint> {
  const { container, tensors, metadata, extra } = await readCheckpoint(source);
  const ours = orReason(() => readNetMetadata(metadata, source.name));
  const { net, names, reason } = understand(tensors, ours.value);
  const list = [...tensors.values()].map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    canonical: names.get(name),
  }));
  return {
    container,
    bytes: source.size,
    tensors: list,
    elements: list.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    stored: metadata,
    metadata: ours.value,
    metadataFault: ours.reason,
    extra,
    net,
    reason,
  };
}

interface Understood {
  readonly net: InspectedNet | undefined;
  readonly names: ReadonlyMap<string, string>;
  readonly reason: string | undefined;
}

function understand(tensors: ReadonlyMap<string, LazyTensor>, metadata: NetMetadata | undefined): Understood {
  let names: ReadonlyMap<string, string> = new Map();
  const { value, reason } = orReason((): InspectedNet => {
    const { family, form } = detectFamily(tensors.keys());
    const canonical = toCanonicalNames(tensors.keys(), family);
    names = canonical.names;
    const shapeOf = (name: string): Shape => tensors.get(name)?.shape ?? [];
    const found = new Map([...names].map(([name, ours]) => [ours, shapeOf(name)]));
    const { config } = inferConfig(found);
    for (const name of canonical.unknown) found.set(name, shapeOf(name));
    const { head, labels = [] } = metadata ?? {};
    const expected = head
      ? headParameterShapes(head, config, labels.length, form, found.keys())
      : parameterShapes(config, form);
    return { family, form, config, match: matchWeights(expected, found) };
  });
  return { net: value, names, reason };
}

function orReason<T>(work: () => T): { readonly value: T | undefined; readonly reason: string | undefined } {
  try {
    return { value: work(), reason: undefined };
  } catch (error) {
    if (error instanceof MobileOneError) return { value: undefined, reason: error.message };
    throw error;
  }
}
