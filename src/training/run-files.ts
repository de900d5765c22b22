import { writeWeights } from '../format/weights-file.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { writeNetMetadata } from '../task/net-metadata.ts';
import type { Weights } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import type { RunConfig } from './run-config.ts';

/** What a run's store holds. */
export const runFiles = {
  config: 'config.json',
  csv: 'metrics.csv',
  jsonl: 'metrics.jsonl',
  last: 'last.safetensors',
  best: 'best.safetensors',
  model: 'model.safetensors',
} as const;

/** A trained net for use: deploy form, with its name, labels and transform inside. */
export function deployFile(config: RunConfig, weights: Weights): Uint8Array {
  const { size } = config.recipe.evaluation;
  const graph = buildMobileOne(config.model, { form: config.form, height: size, width: size });
  const deploy = reparameterize({ graph, weights });
  return writeWeights(deploy.weights, 'mobileone', writeNetMetadata(config));
}
