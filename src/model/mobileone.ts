import { UsageError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../graph/graph.ts';
import { linearLayer } from '../graph/layers.ts';
import { type Form, mobileOneBlock } from './block.ts';
import { type MobileOneConfig, squeezeChannels, validateConfig } from './config.ts';

/** `stem`, `stage1`…: feature maps; `preLogits` [N,C]; `logits` [N,classes]; `probabilities` their softmax. */
export type OutputName = 'stem' | `stage${number}` | 'preLogits' | 'logits' | 'probabilities';

export interface BuildOptions {
  readonly form: Form;
  readonly batch?: number;
  readonly height?: number;
  readonly width?: number;
  /**
   * Input pixels per feature of the last stage, default 32. With 16 or 8 the last strides become dilation in all
   * that follows them, so that every 2nd or 4th feature equals the stride-32 net's.
   */
  readonly outputStride?: 8 | 16 | 32;
  /** Default `['logits']`, or `['preLogits']` when there are no classes. Nothing beyond the last one is built. */
  readonly outputs?: readonly OutputName[];
}

export const inputName = 'image';

/** @throws UsageError for an unknown output or stride; ShapeError when the picture is too small */
export function buildMobileOne(config: MobileOneConfig, options: BuildOptions): CheckedGraph {
  validateConfig(config);
  const { form, batch = 1, height = 224, width = 224, outputStride = 32 } = options;
  if (![8, 16, 32].includes(outputStride))
    throw new UsageError(`${config.name}: outputStride must be 8, 16 or 32, found ${outputStride}.`);
  const wanted = options.outputs ?? [config.classes > 0 ? 'logits' : 'preLogits'];
  const known = outputNames(config);
  for (const name of wanted)
    if (!known.includes(name))
      throw new UsageError(`${config.name}: output "${name}" must be one of ${known.join(', ')}.`);
  const last = Math.max(...wanted.map((name) => known.indexOf(name)));

  const b = graphBuilder(`${config.name} ${form} form`);
  const emit = (name: OutputName, value: ValueId): boolean => {
    if (wanted.includes(name)) b.output(name, value);
    return known.indexOf(name) >= last;
  };
  const x = b.input(inputName, [batch, height, width, config.inChannels]);
  const depth = Math.min(last, config.stages.length);
  const features = mobileOneFeatures(b, config, x, { form, outputStride, depth });
  for (const [i, feature] of features.entries()) if (emit(known[i] ?? 'stem', feature)) return b.finish();
  return head(b, config, features.at(-1) ?? x, emit);
}

export interface FeatureOptions {
  readonly form: Form;
  readonly outputStride: 8 | 16 | 32;
  /** Stages to build; default all. */
  readonly depth?: number;
}

/** Lays out stem and stages behind a picture. @returns the stem's feature map, then each stage's */
export function mobileOneFeatures(
  b: GraphBuilder,
  config: MobileOneConfig,
  image: ValueId,
  { form, outputStride, depth = config.stages.length }: FeatureOptions,
): readonly ValueId[] {
  const features = [
    mobileOneBlock(b, 'stem', image, {
      outChannels: config.stemChannels,
      geometry: convGeometry({ kernel: 3, stride: 2 }),
      form,
      branches: 1,
      skip: false,
    }),
  ];
  let stride = 2;
  let dilation = 1;
  for (let s = 0; s < depth; s++) {
    const dense = stride >= outputStride;
    const before = features.at(-1) ?? image;
    features.push(stage(b, config, s, before, { form, stride: dense ? 1 : 2, dilation }));
    if (dense) dilation *= 2;
    else stride *= 2;
  }
  return features;
}

function outputNames(config: MobileOneConfig): readonly OutputName[] {
  const stages = config.stages.map((_, i): OutputName => `stage${i + 1}`);
  const classifier: readonly OutputName[] = config.classes > 0 ? ['logits', 'probabilities'] : [];
  return ['stem', ...stages, 'preLogits', ...classifier];
}

interface StageOptions {
  readonly form: Form;
  /** 1 where the stage's stride has become dilation. */
  readonly stride: 1 | 2;
  /** Dilation before the stage; where its stride became dilation, what follows its first block doubles it. */
  readonly dilation: number;
}

function stage(
  b: GraphBuilder,
  config: MobileOneConfig,
  index: number,
  input: ValueId,
  options: StageOptions,
): ValueId {
  const { pairs, channels, squeezeExcitePairs } = config.stages[index] ?? {
    pairs: 0,
    channels: 0,
    squeezeExcitePairs: 0,
  };
  const inner = options.stride === 1 ? options.dilation * 2 : options.dilation;
  let x = input;
  for (let pair = 0; pair < pairs; pair++) {
    const first = pair === 0;
    const gated = pair >= pairs - squeezeExcitePairs;
    const squeeze = (width: number) =>
      gated ? { squeeze: squeezeChannels(width, config.squeezeRounding) } : {};
    const inChannels = b.shape(x)[3] ?? 0;
    const shared = { form: options.form, branches: config.branches };
    x = mobileOneBlock(b, `stages.${index}.${2 * pair}`, x, {
      ...shared,
      ...squeeze(inChannels),
      outChannels: inChannels,
      geometry: convGeometry({
        kernel: 3,
        stride: first ? options.stride : 1,
        dilation: first ? options.dilation : inner,
        groups: inChannels,
      }),
      // The block that lowers the resolution has no skip branch, also where its stride has become dilation.
      skip: !first,
    });
    x = mobileOneBlock(b, `stages.${index}.${2 * pair + 1}`, x, {
      ...shared,
      ...squeeze(channels),
      outChannels: channels,
      geometry: convGeometry({ kernel: 1 }),
    });
  }
  return x;
}

function head(
  b: GraphBuilder,
  config: MobileOneConfig,
  x: ValueId,
  emit: (name: OutputName, value: ValueId) => boolean,
): CheckedGraph {
  const pooled = b.node('flatten', 'preLogits', {}, [b.node('globalAveragePool', 'pool', {}, [x])]);
  if (emit('preLogits', pooled)) return b.finish();
  const logits = linearLayer(b, 'head', pooled, config.classes);
  if (emit('logits', logits)) return b.finish();
  emit('probabilities', b.node('softmax', 'probabilities', {}, [logits]));
  return b.finish();
}
