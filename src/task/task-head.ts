import * as v from 'valibot';
import { type AnchorStyle, type AnchorStyleName, anchorStyles } from '../detection/anchors.ts';
import { type BoxCoder, boxCoders } from '../detection/box-coder.ts';
import { fitAnchors } from '../detection/fit-anchors.ts';
import { type DetectionRule, detectionRules } from '../detection/nms.ts';
import { FormatError } from '../errors.ts';
import { type DeepLabStyle, type DeepLabStyleName, deepLabStyles } from '../model/deeplabv3.ts';
import { ssdLiteExtraChannels } from '../model/ssdlite.ts';

export type Task = 'classify' | 'detect' | 'segment';

/** What a net does with pictures, for people. */
export const taskTitles: Readonly<Record<Task, string>> = {
  classify: 'classification',
  detect: 'detection (SSDLite)',
  segment: 'segmentation (DeepLabV3)',
};

const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const length = v.pipe(v.number(), v.finite(), v.gtValue(0));
const styleNames = Object.keys(anchorStyles) as [AnchorStyleName, ...AnchorStyleName[]];
const deepLabNames = Object.keys(deepLabStyles) as [DeepLabStyleName, ...DeepLabStyleName[]];

const detect = v.strictObject({
  task: v.literal('detect'),
  /** Whose box coding, place of the background and defaults of suppression. */
  style: v.picklist(styleNames),
  anchors: v.strictObject({
    levels: v.pipe(
      v.array(
        v.union([
          v.strictObject({
            sizes: v.strictTuple([length, length]),
            ratios: v.array(length),
            stride: v.exactOptional(length),
          }),
          v.strictObject({
            shapes: v.pipe(v.array(v.strictTuple([length, length])), v.minLength(1)),
            stride: v.exactOptional(length),
          }),
        ]),
      ),
      v.minLength(2),
    ),
    clip: v.picklist(['none', 'sides', 'all']),
  }),
  extraChannels: v.array(count),
});

const segment = v.strictObject({
  task: v.literal('segment'),
  /** Whose order of layers and resizing. */
  style: v.picklist(deepLabNames),
  /** Of the pyramid's branches. */
  channels: count,
  rates: v.array(count),
  outputStride: v.picklist([8, 16]),
  /** Class that is nothing in particular, which drawings leave as it is; null where every class is something. */
  background: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
});

const schema = v.variant('task', [detect, segment]);

/** What a checkpoint must say of a head, beside its tensors, to be built and understood: plain JSON. */
export type DetectHead = Readonly<Omit<v.InferOutput<typeof detect>, 'anchors'>> & {
  readonly anchors: AnchorStyle;
};
export type SegmentHead = Readonly<v.InferOutput<typeof segment>>;
export type TaskHead = DetectHead | SegmentHead;

interface DetectorStyle {
  readonly coder: BoxCoder;
  readonly rule: DetectionRule;
  /** Index of the background among `objects` + 1 scores. */
  readonly background: (objects: number) => number;
}

const first = (): number => 0;

/** What follows from the name of a style. @see the projects of `anchorStyles` */
export const detectorStyles: Readonly<Record<AnchorStyleName, DetectorStyle>> = {
  torchvision: { coder: boxCoders.torchvision, rule: detectionRules.torchvision, background: first },
  mmdetection: {
    coder: boxCoders.mmdetection,
    rule: detectionRules.mmdetection,
    background: (objects) => objects,
  },
  cvnets: { coder: boxCoders.cvnets, rule: detectionRules.cvnets, background: first },
};

/** A style's head with anchors fitted to the boxes of some data. @see fitAnchors */
export function fittedHead(
  style: AnchorStyleName,
  size: number,
  boxes: readonly (readonly [width: number, height: number])[],
): DetectHead {
  const anchors = fitAnchors(boxes, size);
  const extraChannels = ssdLiteExtraChannels.slice(0, anchors.levels.length - 2);
  return { task: 'detect', style, anchors, extraChannels };
}

/** A style's head for square inputs. @param size side in pixels */
export function detectHead(
  style: AnchorStyleName,
  size: number,
  extraChannels: readonly number[] = ssdLiteExtraChannels,
): DetectHead {
  return { task: 'detect', style, anchors: anchorStyles[style](size), extraChannels: [...extraChannels] };
}

export function segmentHead(
  style: DeepLabStyleName,
  options: Partial<Omit<SegmentHead, 'task' | 'style'>> = {},
): SegmentHead {
  const { channels, rates } = deepLabStyles[style];
  return {
    task: 'segment',
    style,
    channels,
    rates: [...rates],
    outputStride: 16,
    background: null,
    ...options,
  };
}

export const deepLabStyleOf = ({ style, channels, rates }: SegmentHead): DeepLabStyle => ({
  ...deepLabStyles[style],
  channels,
  rates,
});

/** @throws FormatError naming every field that is not as it should be */
export function parseTaskHead(text: string, where: string): TaskHead {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  return checkTaskHead(value, where);
}

/** @throws FormatError naming every field that is not as it should be */
export function checkTaskHead(value: unknown, where: string): TaskHead {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
  throw new FormatError(
    `${where}: the description of the task is not one that is known here: ${faults.join('; ')}.`,
  );
}
