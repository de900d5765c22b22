/** Losses and their gradients. */
import { elementCount, formatShape } from '../../tensor/tensor.ts';
import type { SsdLossAttrs } from './op-attrs.ts';
import { type OpDefinitions, plain } from './op-definition.ts';
import { expectShape, fail, first, groupsOf, type Shapes } from './shape-checks.ts';

function lossShapes(_: unknown, inputs: Shapes): Shapes {
  expectShape(inputs[1], first(inputs), 'targets');
  return [[1]];
}

function lossGradShapes(_: unknown, inputs: Shapes): Shapes {
  expectShape(inputs[1], first(inputs), 'targets');
  expectShape(inputs[2], [1], 'dloss');
  return [first(inputs)];
}

/** Shapes of (scores, boxes) × maps. */
function checkMaps({ classes }: SsdLossAttrs, inputs: Shapes, tail: number): readonly Shapes[] {
  const [images = 0, anchors = 0] = first(inputs);
  expectShape(inputs[0], [images, anchors], 'labels');
  expectShape(inputs[1], [images, anchors, 4], 'offsets');
  const maps = groupsOf(inputs, 2, 2, tail);
  let count = 0;
  for (const [scores = [], boxes = []] of maps) {
    count += elementCount(boxes) / 4;
    if (
      elementCount(scores) * 4 !== elementCount(boxes) * classes ||
      boxes[0] !== images ||
      scores[0] !== images
    )
      fail(
        `a map needs ${classes} scores and 4 offsets for each anchor of ${images} pictures, found ${formatShape(scores)} and ${formatShape(boxes)}`,
      );
  }
  if (count !== images * anchors)
    fail(
      `labels ${formatShape(first(inputs))} are for ${images * anchors} anchors, but the maps have ${count}`,
    );
  return maps;
}

const ssdFormat = ({ classes, background, negatives }: SsdLossAttrs): string =>
  `${classes} classes, background ${background}, ${negatives} negatives`;

export const lossOps: OpDefinitions<
  | 'crossEntropy'
  | 'crossEntropyGrad'
  | 'binaryCrossEntropy'
  | 'binaryCrossEntropyGrad'
  | 'ssdLoss'
  | 'ssdLossGrad'
> = {
  crossEntropy: {
    ...plain,
    inputs: ['logits', 'targets'],
    required: 2,
    shapes: lossShapes,
    format: ({ smoothing }) => `smoothing ${smoothing}`,
  },
  crossEntropyGrad: {
    ...plain,
    inputs: ['logits', 'targets', 'dloss'],
    required: 3,
    shapes: lossGradShapes,
    format: ({ smoothing }) => `smoothing ${smoothing}`,
  },
  binaryCrossEntropy: { ...plain, inputs: ['logits', 'targets'], required: 2, shapes: lossShapes },
  binaryCrossEntropyGrad: {
    ...plain,
    inputs: ['logits', 'targets', 'dloss'],
    required: 3,
    shapes: lossGradShapes,
  },
  ssdLoss: {
    ...plain,
    inputs: ['labels', 'offsets', 'scores, boxes…'],
    required: 4,
    shapes: (attrs, inputs) => {
      checkMaps(attrs, inputs, 0);
      return [[1], [1], [1]];
    },
    format: ssdFormat,
  },
  ssdLossGrad: {
    ...plain,
    inputs: ['labels', 'offsets', 'scores, boxes, dloss…'],
    required: 5,
    shapes: (attrs, inputs) => {
      expectShape(inputs.at(-1), [1], 'dloss');
      return checkMaps(attrs, inputs, 1).flat();
    },
    format: ssdFormat,
  },
};
