import { anchorsAt } from '../detection/anchors.ts';
import { UsageError } from '../errors.ts';
import type { Pair } from '../graph/geometry.ts';
import type { CheckedGraph } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { buildDeepLabV3 } from '../model/deeplabv3.ts';
import { buildSsdLite } from '../model/ssdlite.ts';
import type { Weights } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { deepLabStyleOf, detectorStyles, type TaskHead, taskTitles } from './task-head.ts';

/** A net with a head for detection or segmentation, and all that is needed to use it. */
export interface HeadNet<H extends TaskHead = TaskHead> {
  readonly head: H;
  /** The backbone; its own classes do not matter. */
  readonly config: MobileOneConfig;
  /** The form of `weights`. */
  readonly form: Form;
  /** By the names of `buildHeadNet`'s parameters. */
  readonly weights: Weights;
  /** An exact resize without crop. */
  readonly transform: EvalTransform;
  /** Detection: of objects, the background apart. Segmentation: of all classes. */
  readonly labels: readonly string[];
  /** What results call the labels, where the data that was learned from says it: COCO's ids. */
  readonly categoryIds?: readonly (number | string)[] | undefined;
}

export interface HeadGraph {
  readonly graph: CheckedGraph;
  /** Detection: rows and columns of each feature map; else none. */
  readonly maps: readonly Pair[];
}

export interface HeadBuildOptions {
  readonly form: Form;
  readonly height: number;
  readonly width: number;
  readonly batch?: number;
  /** The training head of segmentation; default no. */
  readonly auxiliary?: boolean;
  /** Of segmentation: logits at the picture's size, else where the head computes them; default yes. */
  readonly whole?: boolean;
}

/** The graph of a backbone with a head. @param objects how many labels there are */
export function buildHeadNet(
  head: TaskHead,
  backbone: MobileOneConfig,
  objects: number,
  options: HeadBuildOptions,
): HeadGraph {
  if (head.task === 'detect') {
    const { anchors, extraChannels } = head;
    const each = anchors.levels.map(anchorsAt);
    return buildSsdLite({ backbone, classes: objects + 1, anchors: each, extraChannels }, options);
  }
  const style = deepLabStyleOf(head);
  const config = { backbone, classes: objects, style, outputStride: head.outputStride };
  return { graph: buildDeepLabV3(config, { auxiliary: false, ...options }), maps: [] };
}

/** Index of each label's score in what the net gives. */
export function scoreIndex(head: TaskHead, objects: number): (label: number) => number {
  if (head.task === 'segment') return (label) => label;
  const background = detectorStyles[head.style].background(objects);
  return (label) => (label < background ? label : label + 1);
}

export type HeadNetSize = Pick<HeadBuildOptions, 'height' | 'width' | 'batch' | 'whole'>;

/**
 * The net to run, at the transform's size unless another is given: in deploy form unless its own is asked for.
 * @throws UsageError for the train form of weights that are fused
 */
export function runnableNet(
  source: HeadNet,
  run: Form,
  size: Partial<HeadNetSize> = {},
): HeadGraph & { readonly net: Net } {
  const { head, config, form, weights, labels } = source;
  if (run === 'train' && form === 'deploy')
    throw new UsageError(
      `${taskTitles[head.task]}: the weights are in deploy form; their branches are gone and cannot run.`,
    );
  const { graph, maps } = buildHeadNet(head, config, labels.length, {
    ...exactSize(source.transform),
    ...size,
    form,
  });
  const used = new Set(graph.parameters.map(({ value }) => graph.values[value]?.name));
  const given: Net = { graph, weights: new Map([...weights].filter(([name]) => used.has(name))) };
  const net = run === form ? given : reparameterize(given);
  return { graph: net.graph, maps, net };
}

/** @throws UsageError for transforms that lose parts of the picture, or that leave the size open */
export function exactSize({ resize, crop }: EvalTransform): {
  readonly height: number;
  readonly width: number;
} {
  if (resize.kind === 'exact' && crop === null) return { height: resize.height, width: resize.width };
  throw new UsageError(
    'detection and segmentation look at the whole picture: the transform must resize to an exact size without a crop.',
  );
}
