import { ShapeError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { convGeometry, type Pair } from '../graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../graph/graph.ts';
import { convLayer } from '../graph/layers.ts';
import type { Form } from './block.ts';
import type { MobileOneConfig } from './config.ts';
import { convNorm } from './conv-norm.ts';
import { inputName, mobileOneFeatures } from './mobileone.ts';

/**
 * SSDLite on MobileOne: feature maps at strides 16 and 32 from the backbone, four more from extra layers, and on each
 * map two depthwise-separable predictors. @see MobileNetV2, arXiv:1801.04381, §6.2
 */
export interface SsdLiteConfig {
  readonly backbone: MobileOneConfig;
  /** Scores per anchor, the background's included. */
  readonly classes: number;
  /** Anchors in each place, by map. */
  readonly anchors: readonly number[];
  /** Channels of the extra maps. */
  readonly extraChannels: readonly number[];
}

/** torchvision's and mmdetection's. */
export const ssdLiteExtraChannels = [512, 256, 256, 128] as const;
/** Of their batch norms. */
const eps = 1e-3;

export interface SsdLiteOptions {
  readonly form: Form;
  readonly batch?: number;
  readonly height?: number;
  readonly width?: number;
}

export interface SsdLiteGraph {
  readonly graph: CheckedGraph;
  /** Rows and columns of each map. */
  readonly maps: readonly Pair[];
}

/**
 * Outputs, for map i: `classes.<i>` [N, rows, columns, anchors·classes] and `boxes.<i>` [N, rows, columns, anchors·4].
 * As they lie in memory, anchor after anchor, they are in the order of `anchorBoxes`.
 * @throws ShapeError when anchors are not given for every map, or the picture is too small
 */
export function buildSsdLite(config: SsdLiteConfig, options: SsdLiteOptions): SsdLiteGraph {
  const { form, batch = 1, height = 320, width = 320 } = options;
  const { backbone, extraChannels, anchors, classes } = config;
  const count = 2 + extraChannels.length;
  if (anchors.length !== count)
    throw new ShapeError(
      `ssdlite ${backbone.name}: ${count} maps need as many numbers of anchors, found ${anchors.length}.`,
    );
  const b = graphBuilder(`${backbone.name} ssdlite ${form} form`);
  const image = b.input(inputName, [batch, height, width, backbone.inChannels]);
  const taps = mobileOneFeatures(b, backbone, image, { form, outputStride: 32 }).slice(-2);
  const maps = [...taps, ...extraMaps(b, taps.at(-1) ?? image, extraChannels, form)];
  maps.forEach((map, i) => {
    const each = anchors[i] ?? 0;
    b.output(`classes.${i}`, predictor(b, `ssd.classes.${i}`, map, each * classes, form));
    b.output(`boxes.${i}`, predictor(b, `ssd.boxes.${i}`, map, each * 4, form));
  });
  return { graph: b.finish(), maps: maps.map((map) => [b.shape(map)[1] ?? 0, b.shape(map)[2] ?? 0]) };
}

/** 1×1 to half the channels, depthwise 3×3 with stride 2, 1×1. */
function extraMaps(
  b: GraphBuilder,
  last: ValueId,
  channels: readonly number[],
  form: Form,
): readonly ValueId[] {
  const shared = { form, activation: 'relu6', eps } as const;
  const point = convGeometry({ kernel: 1 });
  let x = last;
  return channels.map((outChannels, i) => {
    const inner = Math.floor(outChannels / 2);
    const name = `ssd.extras.${i}`;
    x = convNorm(b, `${name}.reduce`, x, { ...shared, outChannels: inner, geometry: point });
    const window = convGeometry({ kernel: 3, stride: 2, groups: inner });
    x = convNorm(b, `${name}.depthwise`, x, { ...shared, outChannels: inner, geometry: window });
    x = convNorm(b, `${name}.expand`, x, { ...shared, outChannels, geometry: point });
    return x;
  });
}

function predictor(b: GraphBuilder, name: string, x: ValueId, outChannels: number, form: Form): ValueId {
  const channels = b.shape(x)[3] ?? 0;
  const window = convGeometry({ kernel: 3, groups: channels });
  const inner = convNorm(b, `${name}.depthwise`, x, {
    outChannels: channels,
    geometry: window,
    form,
    activation: 'relu6',
    eps,
  });
  return convLayer(b, `${name}.predict`, inner, outChannels, convGeometry({ kernel: 1 }), { bias: true });
}
