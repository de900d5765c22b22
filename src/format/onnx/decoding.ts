import type { Shape } from '../../tensor/tensor.ts';
import { floatTensor, int64Tensor, onnxNode } from './operators.ts';
import { dataTypes, type OnnxNode, type OnnxTensor, type OnnxValueInfo, onnxAttributes } from './schema.ts';

/**
 * What is done to a net's raw outputs inside the file, so that whoever runs it gets answers.
 *
 * `boxes`: outputs `classes.i` and `boxes.i` of feature maps → softmax, boxes from anchors, suppression within each
 * class. The file then gives `boxes` [n,4] (corners x1, y1, x2, y2 in pixels of the net's input), `scores` [n],
 * `labels` [n] and `images` [n] (which picture of the batch), the surest first.
 *
 * `classMap`: `logits`, bilinearly at the input's size → `classMap` [batch,height,width], the index of the largest.
 */
export type OnnxDecoding = BoxDecoding | ClassMapDecoding;

export interface BoxDecoding {
  readonly kind: 'boxes';
  /** Of each anchor, background included. */
  readonly classes: number;
  /** Which of them each label is. */
  readonly labels: readonly number[];
  readonly maps: number;
  /** [A,4], corners in pixels of the input. */
  readonly anchors: Float32Array;
  readonly deviations: readonly [x: number, y: number, width: number, height: number];
  /** Least and largest logarithm of a side's factor. */
  readonly limits: readonly [low: number, high: number];
  readonly width: number;
  readonly height: number;
  readonly leastScore: number;
  readonly iou: number;
  /** Most boxes of a class in a picture. */
  readonly perClass: number;
}

export interface ClassMapDecoding {
  readonly kind: 'classMap';
  readonly width: number;
  readonly height: number;
  readonly alignCorners: boolean;
}

export interface DecodingTail {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxTensor[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly opset: number;
}

/** Puts nodes in a row; each takes names and gives one. */
interface Row {
  readonly add: (
    opType: string,
    inputs: readonly string[],
    attributes?: Parameters<typeof onnxNode>[4],
    name?: string,
  ) => string;
  readonly floats: (word: string, dims: Shape, values: ArrayLike<number>) => string;
  readonly integers: (word: string, values: readonly number[], dims?: Shape) => string;
  readonly nodes: OnnxNode[];
  readonly constants: OnnxTensor[];
  readonly fresh: (word: string) => string;
}

function row(freshName: (wish: string) => string): Row {
  const nodes: OnnxNode[] = [];
  const constants: OnnxTensor[] = [];
  const fresh = (word: string): string => freshName(`decode/${word}`);
  const keep = (tensor: OnnxTensor): string => {
    constants.push(tensor);
    return tensor.name;
  };
  return {
    nodes,
    constants,
    fresh,
    add: (opType, inputs, attributes, name = fresh(opType.toLowerCase())) => {
      nodes.push(onnxNode(opType, `${name}/node`, inputs, name, attributes));
      return name;
    },
    floats: (word, dims, values) => keep(floatTensor(fresh(word), dims, values)),
    integers: (word, values, dims = [values.length]) => keep({ ...int64Tensor(fresh(word), values), dims }),
  };
}

/** @param fresh makes names that nothing else bears */
export function decodingTail(decoding: OnnxDecoding, fresh: (wish: string) => string): DecodingTail {
  return decoding.kind === 'boxes' ? boxesTail(decoding, row(fresh)) : classMapTail(decoding, row(fresh));
}

function valueInfo(name: string, elemType: number, dims: readonly (number | string)[]): OnnxValueInfo {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

function classMapTail({ width, height, alignCorners }: ClassMapDecoding, r: Row): DecodingTail {
  const large = r.add('Resize', ['logits', '', '', r.integers('size', [height, width])], {
    mode: 'linear',
    coordinate_transformation_mode: alignCorners ? 'align_corners' : 'half_pixel',
    axes: [2, 3],
  });
  r.add('ArgMax', [large], { axis: 1, keepdims: 0 }, 'classMap');
  const outputs = [valueInfo('classMap', dataTypes.int64, ['batch', height, width])];
  return { nodes: r.nodes, constants: r.constants, outputs, opset: 18 };
}

function boxesTail(decoding: BoxDecoding, r: Row): DecodingTail {
  const scores = objectScores(decoding, r);
  const boxes = decodedBoxes(decoding, r);
  const limit = r.integers('perClass', [decoding.perClass]);
  const [iou, least] = [decoding.iou, decoding.leastScore].map((value, i) =>
    r.floats(i === 0 ? 'iou' : 'leastScore', [1], [value]),
  );
  const chosen = r.add('NonMaxSuppression', [boxes, scores, limit, iou ?? '', least ?? '']);
  const column = (index: number): string =>
    r.add('Gather', [chosen, r.integers('column', [index], [])], { axis: 1 });
  const place = r.add('Gather', [chosen, r.integers('columns', [0, 2])], { axis: 1 });
  const found = r.add('GatherND', [scores, chosen]);
  const [sorted, order] = ['scores', r.fresh('order')];
  r.nodes.push({
    name: r.fresh('sort'),
    opType: 'TopK',
    input: [found, r.add('Shape', [found])],
    output: [sorted, order],
    attribute: onnxAttributes({ axis: 0 }),
  });
  r.add('Gather', [r.add('GatherND', [boxes, place]), order], {}, 'boxes');
  r.add('Gather', [column(1), order], {}, 'labels');
  r.add('Gather', [column(0), order], {}, 'images');
  const outputs = [
    valueInfo('boxes', dataTypes.float, ['detections', 4]),
    valueInfo('scores', dataTypes.float, ['detections']),
    valueInfo('labels', dataTypes.int64, ['detections']),
    valueInfo('images', dataTypes.int64, ['detections']),
  ];
  return { nodes: r.nodes, constants: r.constants, outputs, opset: 0 };
}

/** All maps of an output, channels-first with a place's anchors in the channels → [batch,A,width]. */
function joinedMaps(output: string, maps: number, width: number, r: Row): string {
  const shape = r.integers('rows', [0, -1, width]);
  const parts = Array.from({ length: maps }, (_, i) =>
    r.add('Reshape', [r.add('Transpose', [`${output}.${i}`], { perm: [0, 2, 3, 1] }), shape]),
  );
  return r.add('Concat', parts, { axis: 1 });
}

/** [batch,objects,A] */
function objectScores({ classes, labels, maps }: BoxDecoding, r: Row): string {
  const all = r.add('Softmax', [joinedMaps('classes', maps, classes, r)], { axis: 2 });
  const objects = r.add('Gather', [all, r.integers('labels', labels)], { axis: 2 });
  return r.add('Transpose', [objects], { perm: [0, 2, 1] });
}

/** [batch,A,4], corners cut to the input. */
function decodedBoxes({ anchors, deviations, limits, maps, width, height }: BoxDecoding, r: Row): string {
  const count = anchors.length / 4;
  const pairs = (of: (low: number, high: number) => number): Float32Array =>
    Float32Array.from({ length: 2 * count }, (_, i) => {
      const at = 4 * Math.floor(i / 2) + (i % 2);
      return of(anchors[at] ?? 0, anchors[at + 2] ?? 0);
    });
  const sides = r.floats(
    'sides',
    [1, count, 2],
    pairs((low, high) => high - low),
  );
  const halves = r.floats(
    'halves',
    [1, count, 2],
    pairs((low, high) => (high - low) / 2),
  );
  const centres = r.floats(
    'centres',
    [1, count, 2],
    pairs((low, high) => (low + high) / 2),
  );
  const offsets = r.add('Mul', [
    joinedMaps('boxes', maps, 4, r),
    r.floats('deviations', [1, 1, 4], deviations),
  ]);
  const half = (start: number): string =>
    r.add('Slice', [
      offsets,
      r.integers('start', [start]),
      r.integers('end', [start + 2]),
      r.integers('axis', [2]),
    ]);
  const centre = r.add('Add', [r.add('Mul', [half(0), sides]), centres]);
  const [low, high] = limits.map((value, i) => {
    // ONNX leaves out a bound by an empty name.
    return Number.isFinite(value) ? r.floats(i === 0 ? 'low' : 'high', [], [value]) : '';
  });
  const factor = r.add('Exp', [r.add('Clip', [half(2), low ?? '', high ?? ''])]);
  const reach = r.add('Mul', [factor, halves]);
  const corners = r.add('Concat', [r.add('Sub', [centre, reach]), r.add('Add', [centre, reach])], {
    axis: 2,
  });
  const inside = r.add('Max', [corners, r.floats('zero', [], [0])]);
  return r.add('Min', [inside, r.floats('edge', [1, 1, 4], [width, height, width, height])]);
}
