import { UsageError } from '../../errors.ts';
import type { CheckedGraph } from '../../graph/graph.ts';
import type { Net } from '../../graph/net.ts';
import { findModel } from '../../hub/models.ts';
import type { Form } from '../../model/block.ts';
import { type MobileOneConfig, mobileOneConfig } from '../../model/config.ts';
import { initialWeights, randomStatistics } from '../../model/initialize.ts';
import { buildMobileOne } from '../../model/mobileone.ts';
import { inputSize } from '../../task/classify.ts';
import { loadNet } from '../../task/load-net.ts';
import type { Weights } from '../../tensor/tensor.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import type { Size } from '../arguments.ts';
import type { Terminal } from '../terminal.ts';
import { fetchWeights, hubOptions } from '../weights.ts';

export interface SubjectFlags {
  readonly form: Form;
  readonly batch: number;
  readonly input?: Size;
}

/** What is measured. */
export interface Subject {
  readonly title: string;
  readonly net: Net;
  readonly form: Form;
  readonly weights:
    | { readonly kind: 'seeded'; readonly seed: number }
    | { readonly kind: 'file'; readonly file: string };
}

const seed = 1;

/** A name gets seeded random weights, so that nothing has to be downloaded; a file brings its own. */
export async function findSubject(model: string, flags: SubjectFlags, terminal: Terminal): Promise<Subject> {
  const entry = findModel(model);
  if (entry) {
    const config = mobileOneConfig(entry.variant);
    const graph = buildGraph(config, flags.form, flags, flags.input);
    const net = { graph, weights: seededWeights(graph) };
    return { title: config.name, net, form: flags.form, weights: { kind: 'seeded', seed } };
  }
  const hub = hubOptions({});
  const { location } = await fetchWeights(model, hub, terminal);
  const { net, name, transform } = await loadNet(location, hub);
  if (flags.form === 'train' && net.form === 'deploy')
    throw new UsageError(`"${location}" is in deploy form; the train form cannot be won back.`);
  const [height, width] = flags.input ? [] : inputSize(transform);
  const size = flags.input ?? { height: height ?? 224, width: width ?? 224 };
  const graph = buildGraph(net.config, net.form, flags, size);
  return {
    title: `${name} from ${location}`,
    net: inForm({ graph, weights: net.weights }, flags.form),
    form: flags.form,
    weights: { kind: 'file', file: location },
  };
}

function buildGraph(
  config: MobileOneConfig,
  form: Form,
  { batch }: SubjectFlags,
  size: Size | undefined,
): CheckedGraph {
  return buildMobileOne(config, { form, batch, ...size });
}

/** Answers of a sound size in both forms; whether a deploy form was fused from another does not matter to its speed. */
function seededWeights(graph: CheckedGraph): Weights {
  return randomStatistics(graph, initialWeights(graph, 'timm', seed), seed + 1);
}

const inForm = (net: Net, form: Form): Net => (form === 'deploy' ? reparameterize(net) : net);

export const weightBytes = (weights: Weights): number =>
  [...weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
