import { referenceEngine } from '../engine/reference/reference-engine.ts';
import type { Family } from '../format/names/key-maps.ts';
import { writeWeights } from '../format/weights-file.ts';
import type { Net } from '../graph/net.ts';
import type { Form } from '../model/block.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { openFileSource } from '../platform/node/file-source.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import { type Agreement, compareNets, probeSize } from '../task/compare-nets.ts';
import type { LoadedNet } from '../task/load-net.ts';
import { writeNetMetadata } from '../task/net-metadata.ts';
import { readNet } from '../task/read-net.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { checkAgreement } from './output-file.ts';

/** What tensors hold in a file, and how far its answers may lie from those of the net that was read, relative. */
export const storedTypes = { f32: 1e-4, f16: 0.05, bf16: 0.2 } as const;
export type StoredType = keyof typeof storedTypes;

export interface SavedNet {
  readonly given: Net;
  readonly saved: Net;
  readonly family: Family;
  readonly bytes: number;
  /** The file, read back, against the net that was read. */
  readonly agreement: Agreement;
}

export interface SaveOptions {
  readonly form: Form;
  /** Default: the family whose names the net came with. */
  readonly family?: Family;
  readonly dtype?: StoredType;
}

/**
 * Writes a net with its transform and labels, re-parameterized where the form asks for it; the file appears only
 * after it was read back and gave the same answers on a probe.
 * @throws WeightsError when it does not
 */
export async function saveSafetensors(
  { net, name, transform, labels }: LoadedNet,
  output: string,
  { form, family = net.family, dtype = 'f32' }: SaveOptions,
): Promise<SavedNet> {
  const { config, weights } = net;
  const given: Net = { graph: buildMobileOne(config, { form: net.form, ...probeSize }), weights };
  const target = form === 'deploy' ? reparameterize(given) : given;
  const metadata = writeNetMetadata({ name, transform, ...(labels ? { labels } : {}) });
  const bytes = writeWeights(target.weights, family, metadata, dtype);
  return writeFileWhole(output, bytes, async (written) => {
    const saved: Net = {
      graph: target.graph,
      weights: (await readNet(await openFileSource(written))).weights,
    };
    const agreement = await compareNets(referenceEngine, given, saved);
    checkAgreement(output, agreement, storedTypes[dtype]);
    return { given, saved, family, bytes: bytes.byteLength, agreement };
  });
}
