import { type Cost, graphCost, nodeCosts } from '../graph/cost.ts';
import { type CheckedGraph, valueAt } from '../graph/graph.ts';
import { formatAttrs } from '../graph/node-rules.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { type BuildOptions, buildMobileOne } from '../model/mobileone.ts';
import type { Shape } from '../tensor/tensor.ts';

/** Parameters and work of one form at one input size, for one picture. */
export interface FormFacts extends Cost {
  readonly form: Form;
  readonly nodes: number;
  /** Multiply-accumulates without the classifier, plus pooled elements: mmpretrain's FLOPs. */
  readonly mmpretrainFlops: number;
  /** Multiply-accumulates, classifier included, plus pooled elements: the paper's and fvcore's FLOPs. */
  readonly fvcoreFlops: number;
  /** Bytes of all parameters and running statistics in f32. */
  readonly weightBytes: number;
}

/** One stage as it is built; stage 0 is the stem. */
export interface StageFacts {
  readonly name: string;
  readonly blocks: number;
  readonly channels: number;
  /** Blocks with squeeze-excite. */
  readonly squeezeExciteBlocks: number;
  /** Output features, [H, W]. */
  readonly size: readonly [height: number, width: number];
  /** Input pixels per feature. */
  readonly stride: number;
  /** Deploy form. */
  readonly parameters: number;
  readonly macs: number;
}

export interface NodeFacts {
  readonly name: string;
  readonly kind: string;
  readonly attributes: string;
  readonly shape: Shape;
  readonly parameters: number;
  readonly macs: number;
  /** Bytes of inputs, parameters and outputs. */
  readonly bytes: number;
}

export interface NetFacts {
  readonly config: MobileOneConfig;
  /** [H, W, C] of one picture. */
  readonly input: Shape;
  readonly outputStride: 8 | 16 | 32;
  /** Convolution branches of every block but the stem, in train form. */
  readonly branches: number;
  readonly stages: readonly StageFacts[];
  /** The classifier; zeros when there are no classes. */
  readonly head: { readonly classes: number; readonly parameters: number; readonly macs: number };
  /** Outputs a graph can be built with: name and shape for one picture. */
  readonly taps: readonly { readonly name: string; readonly shape: Shape }[];
  readonly train: FormFacts;
  readonly deploy: FormFacts;
}

export type DescribeOptions = Pick<BuildOptions, 'height' | 'width' | 'outputStride'>;

/**
 * What a net is and costs, without weights.
 * @throws UsageError, ShapeError for an output stride or input size that no net has
 */
export function describeNet(config: MobileOneConfig, options: DescribeOptions = {}): NetFacts {
  const { height = 224, width = 224, outputStride = 32 } = options;
  const size = { height, width, outputStride };
  const deploy = buildMobileOne(config, { ...size, form: 'deploy', outputs: allOutputs(config) });
  const taps = deploy.outputs.map(({ name, value }) => ({ name, shape: valueAt(deploy, value).shape }));
  return {
    config,
    input: [height, width, config.inChannels],
    outputStride,
    branches: config.branches,
    head: { classes: config.classes, ...partCost(deploy, 'head') },
    stages: stageFacts(config, deploy, taps, outputStride),
    taps,
    train: formFacts(config, 'train', size),
    deploy: formFacts(config, 'deploy', size),
  };
}

/** Every node of one form in running order. */
export function describeNodes(
  config: MobileOneConfig,
  form: Form,
  options: DescribeOptions = {},
): readonly NodeFacts[] {
  const graph = buildMobileOne(config, { ...options, form });
  return nodeCosts(graph).map(({ node, parameters, buffers, macs, bytes }) => ({
    name: node.name,
    kind: node.kind,
    attributes: formatAttrs(node),
    shape: node.outputs[0] === undefined ? [] : valueAt(graph, node.outputs[0]).shape,
    parameters: parameters + buffers,
    macs,
    bytes,
  }));
}

function formFacts(config: MobileOneConfig, form: Form, size: DescribeOptions): FormFacts {
  const graph = buildMobileOne(config, { ...size, form });
  const cost = graphCost(graph);
  const features = graphCost(buildMobileOne(config, { ...size, form, outputs: ['preLogits'] }));
  return {
    ...cost,
    form,
    nodes: graph.nodes.length,
    mmpretrainFlops: features.macs + features.pooled,
    fvcoreFlops: cost.macs + cost.pooled,
    weightBytes: 4 * (cost.parameters + cost.buffers),
  };
}

function allOutputs(config: MobileOneConfig): NonNullable<BuildOptions['outputs']> {
  const stages = config.stages.map((_, i) => `stage${i + 1}` as const);
  return ['stem', ...stages, 'preLogits', ...(config.classes > 0 ? (['logits'] as const) : [])];
}

/** Parameters and work of the nodes whose names are `part` or begin with `part.`. */
function partCost(graph: CheckedGraph, part: string): { readonly parameters: number; readonly macs: number } {
  const own = nodeCosts(graph).filter(({ node }) => `${node.name}.`.startsWith(`${part}.`));
  return {
    parameters: own.reduce((sum, row) => sum + row.parameters, 0),
    macs: own.reduce((sum, row) => sum + row.macs, 0),
  };
}

function stageFacts(
  config: MobileOneConfig,
  graph: CheckedGraph,
  taps: NetFacts['taps'],
  outputStride: number,
): readonly StageFacts[] {
  const stem = { pairs: 0.5, channels: config.stemChannels, squeezeExcitePairs: 0 };
  return [stem, ...config.stages].map((stage, index) => {
    const shape = taps[index]?.shape ?? [];
    return {
      name: index === 0 ? 'stem' : `stage${index}`,
      blocks: 2 * stage.pairs,
      channels: stage.channels,
      squeezeExciteBlocks: 2 * stage.squeezeExcitePairs,
      size: [shape[1] ?? 0, shape[2] ?? 0],
      stride: Math.min(2 ** (index + 1), outputStride),
      ...partCost(graph, index === 0 ? 'stem' : `stages.${index - 1}`),
    };
  });
}
