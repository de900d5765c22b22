import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { convGeometry } from '../graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../graph/graph.ts';
import { convLayer, defaultEps } from '../graph/layers.ts';
import type { Form } from './block.ts';
import type { MobileOneConfig } from './config.ts';
import { convNorm } from './conv-norm.ts';
import { inputName, mobileOneFeatures } from './mobileone.ts';

/** Where three projects' DeepLabV3 heads differ. @see arXiv:1706.05587 */
export interface DeepLabStyle {
  /** Of every branch of the pyramid and what follows. */
  readonly channels: number;
  /** Dilations of its 3×3 convolutions, for output stride 8; half of them for 16. */
  readonly rates: readonly number[];
  readonly poolFirst: boolean;
  /** Kernel of the convolution that joins the branches. */
  readonly joinKernel: 1 | 3;
  /** A 3×3 convolution before the classifier. */
  readonly refine: boolean;
  readonly alignCorners: boolean;
  /** Channels of the auxiliary head's convolution, from its input's. */
  readonly auxiliaryChannels: (channels: number) => number;
}

export const deepLabStyles = {
  torchvision: {
    channels: 256,
    rates: [12, 24, 36],
    poolFirst: false,
    joinKernel: 1,
    refine: true,
    alignCorners: false,
    auxiliaryChannels: (channels) => Math.floor(channels / 4),
  },
  cvnets: {
    channels: 512,
    rates: [12, 24, 36],
    poolFirst: false,
    joinKernel: 1,
    refine: false,
    alignCorners: true,
    auxiliaryChannels: (channels) => Math.max(Math.floor(channels / 4), 128),
  },
  mmsegmentation: {
    channels: 512,
    rates: [12, 24, 36],
    poolFirst: true,
    joinKernel: 3,
    refine: false,
    alignCorners: false,
    auxiliaryChannels: () => 256,
  },
} as const satisfies Readonly<Record<string, DeepLabStyle>>;

export type DeepLabStyleName = keyof typeof deepLabStyles;

export interface DeepLabConfig {
  readonly backbone: MobileOneConfig;
  readonly classes: number;
  readonly style: DeepLabStyle;
  readonly outputStride: 8 | 16;
}

export interface DeepLabOptions {
  readonly form: Form;
  readonly batch?: number;
  readonly height?: number;
  readonly width?: number;
  /** A second head on the third stage, which helps training only. Default: in train form. */
  readonly auxiliary?: boolean;
  /** Whether outputs have the picture's size, or stay as few as the head computes; default yes. */
  readonly whole?: boolean;
}

/** Outputs `logits`, and `auxiliary` where built: [N, height, width, classes], at the picture's own size. */
export function buildDeepLabV3(config: DeepLabConfig, options: DeepLabOptions): CheckedGraph {
  const { form, batch = 1, height = 512, width = 512 } = options;
  const { auxiliary = form === 'train', whole = true } = options;
  const { backbone, classes, style, outputStride } = config;
  const b = graphBuilder(`${backbone.name} deeplabv3 ${form} form`);
  const image = b.input(inputName, [batch, height, width, backbone.inChannels]);
  const features = mobileOneFeatures(b, backbone, image, { form, outputStride });
  const [deep, last] = [features.at(-2) ?? image, features.at(-1) ?? image];
  const layer: Layer = (name, x, outChannels, kernel, dilation = 1) =>
    convNorm(b, name, x, {
      outChannels,
      geometry: convGeometry({ kernel, dilation }),
      form,
      activation: 'relu',
      eps: defaultEps,
    });
  const sized = (name: string, x: ValueId): ValueId =>
    whole ? b.node('resizeBilinear', name, { height, width, alignCorners: style.alignCorners }, [x]) : x;
  const rates = outputStride === 8 ? style.rates : style.rates.map((rate) => Math.round(rate / 2));
  let x = pyramid(b, last, style, rates, layer);
  if (style.refine) x = layer('deeplab.refine', x, style.channels, 3);
  b.output('logits', sized('logits', classifier(b, 'deeplab.classify', x, classes)));
  if (auxiliary) {
    const inner = layer('auxiliary.reduce', deep, style.auxiliaryChannels(b.shape(deep)[3] ?? 0), 3);
    b.output('auxiliary', sized('auxiliary', classifier(b, 'auxiliary.classify', inner, classes)));
  }
  return b.finish();
}

type Layer = (name: string, x: ValueId, outChannels: number, kernel: number, dilation?: number) => ValueId;

/** Atrous spatial pyramid: one point, dilated windows and the whole picture, joined by one convolution. */
function pyramid(
  b: GraphBuilder,
  x: ValueId,
  { channels, poolFirst, joinKernel, alignCorners }: DeepLabStyle,
  rates: readonly number[],
  layer: Layer,
): ValueId {
  const name = 'deeplab.pyramid';
  const [, height = 1, width = 1] = b.shape(x);
  const windows = [
    layer(`${name}.point`, x, channels, 1),
    ...rates.map((rate, i) => layer(`${name}.windows.${i}`, x, channels, 3, rate)),
  ];
  const mean = b.node('globalAveragePool', `${name}.mean`, {}, [x]);
  const pooled = b.node('resizeBilinear', `${name}.spread`, { height, width, alignCorners }, [
    layer(`${name}.pool`, mean, channels, 1),
  ]);
  const all = poolFirst ? [pooled, ...windows] : [...windows, pooled];
  return layer(`${name}.join`, b.node('concat', `${name}.concat`, {}, all), channels, joinKernel);
}

function classifier(b: GraphBuilder, name: string, x: ValueId, classes: number): ValueId {
  return convLayer(b, name, x, classes, convGeometry({ kernel: 1 }), { bias: true });
}
