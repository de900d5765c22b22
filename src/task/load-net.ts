import type { ModelEntry } from '../hub/models.ts';
import { type ResolveOptions, resolveWeights } from '../hub/resolve.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import { defaultTransform, knownLabels } from './net-defaults.ts';
import { type CheckpointNet, readNet } from './read-net.ts';

/** A checkpoint by name or path, read, with what is known about its use. */
export interface LoadedNet {
  readonly net: CheckpointNet;
  /** What the file calls itself, else its variant. */
  readonly name: string;
  /** Undefined for a file of one's own. */
  readonly entry: ModelEntry | undefined;
  /** Path of the weights. */
  readonly location: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly transform: EvalTransform;
  /** Undefined when neither the file nor its publisher says what the classes are. */
  readonly labels: readonly string[] | undefined;
}

/** @throws HubError when there is nothing of that name; FormatError, WeightsError for what cannot be read */
export async function loadNet(nameOrPath: string, hub: ResolveOptions): Promise<LoadedNet> {
  const { entry, file, location } = await resolveWeights(nameOrPath, hub);
  const net = await readNet(file);
  return {
    net,
    name: net.metadata.name ?? net.config.name,
    entry,
    location,
    bytes: file.size,
    transform: defaultTransform(net, entry),
    labels: knownLabels(net, entry),
  };
}
