import { anchorBoxes } from '../detection/anchors.ts';
import type { OnnxDecoding } from '../format/onnx/decoding.ts';
import { deepLabStyles } from '../model/deeplabv3.ts';
import { exactSize, type HeadGraph, type HeadNet, scoreIndex } from './head-net.ts';
import { detectorStyles } from './task-head.ts';

/**
 * How an ONNX file turns the outputs of a net with a head into answers, as `detect` and `segment` do.
 * @param maps of the graph that is exported
 */
export function onnxDecoding(
  { head, labels, transform }: Pick<HeadNet, 'head' | 'labels' | 'transform'>,
  maps: HeadGraph['maps'],
): OnnxDecoding {
  const { height, width } = exactSize(transform);
  if (head.task === 'segment')
    return { kind: 'classMap', height, width, alignCorners: deepLabStyles[head.style].alignCorners };
  const { coder, rule } = detectorStyles[head.style];
  const { deviations, limit, bothLimits } = coder;
  const { leastScore, iou, perClass } = rule;
  return {
    kind: 'boxes',
    classes: labels.length + 1,
    labels: labels.map((_, label) => scoreIndex(head, labels.length)(label)),
    maps: maps.length,
    anchors: anchorBoxes(head.anchors, maps, [height, width]),
    deviations,
    limits: [bothLimits ? -limit : Number.NEGATIVE_INFINITY, limit],
    ...{ height, width, leastScore, iou, perClass },
  };
}
