import type { Net } from '../../src/graph/net.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { type ChainLayer, chainOf, permuteAxes } from './chain.ts';
import {
  bytes,
  encodeFlatbuffer,
  type FlatTable,
  type FlatValue,
  i8,
  i32,
  ints,
  list,
  table,
  text,
} from './flatbuffer.ts';

/** Numbers of tensorflow/lite/schema/schema.fbs, version 3. */
const operators = { conv: 3, depthwise: 4, fullyConnected: 9, pad: 34, mean: 40 } as const;
const optionTypes = { conv: 1, depthwise: 2, fullyConnected: 8, pad: 22, mean: 27 } as const;
const float32 = 0;
const int32 = 2;
const padding = { same: 0, valid: 1 } as const;

type Operator = keyof typeof operators;
const operatorOrder = Object.keys(operators) as readonly Operator[];

interface Draft {
  readonly buffers: Uint8Array[];
  readonly tensors: FlatTable[];
  readonly steps: FlatTable[];
}

function addTensor(draft: Draft, name: string, shape: Shape, data?: Float32Array | Int32Array): number {
  let buffer = 0;
  if (data) {
    draft.buffers.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    buffer = draft.buffers.length; // buffer 0 is the empty one
  }
  const type = data instanceof Int32Array ? int32 : float32;
  draft.tensors.push(table(ints(shape), i8(type), i32(buffer), text(name)));
  return draft.tensors.length - 1;
}

function addStep(
  draft: Draft,
  operator: Operator,
  inputs: readonly number[],
  output: number,
  options: FlatTable,
): number {
  const index = operatorOrder.indexOf(operator);
  draft.steps.push(table(i32(index), ints(inputs), ints([output]), i8(optionTypes[operator]), options));
  return output;
}

/** Stride 2 with the same padding on both sides is not TensorFlow's SAME: it is written as PAD and VALID. */
function addConv(draft: Draft, x: number, layer: Extract<ChainLayer, { kind: 'conv' }>): number {
  const { name, geometry, input, output, weight } = layer;
  const [, height = 0, width = 0, channels = 0] = input;
  const [top, left, bottom, right] = geometry.padding;
  const same = geometry.stride[0] === 1;
  let source = x;
  if (!same) {
    const pads = addTensor(
      draft,
      `${name}/pads`,
      [4, 2],
      Int32Array.of(0, 0, top, bottom, left, right, 0, 0),
    );
    const padded = addTensor(draft, `${name}/padded`, [
      1,
      height + top + bottom,
      width + left + right,
      channels,
    ]);
    source = addStep(draft, 'pad', [x, pads], padded, table());
  }
  const depthwise = geometry.groups > 1;
  const order = depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1];
  const shape = order.map((axis) => weight.shape[axis] ?? 1);
  const kernel = addTensor(draft, `${name}/weight`, shape, permuteAxes(weight, order));
  const bias = addTensor(draft, `${name}/bias`, layer.bias.shape, Float32Array.from(layer.bias.data));
  const window = [i8(same ? padding.same : padding.valid), i32(geometry.stride[1]), i32(geometry.stride[0])];
  const activation = i8(layer.relu ? 1 : 0);
  const options = depthwise ? table(...window, i32(1), activation) : table(...window, activation);
  const result = addTensor(draft, `${name}/output`, output);
  return addStep(draft, depthwise ? 'depthwise' : 'conv', [source, kernel, bias], result, options);
}

/** The net at batch 1 as a TFLite file, f32, [1,H,W,C] → logits. @throws UsageError for nets with squeeze-excite */
export function encodeTflite(net: Net): Uint8Array {
  const draft: Draft = { buffers: [], tensors: [], steps: [] };
  const layers = chainOf(net);
  const first = layers[0];
  const input = addTensor(draft, 'image', first?.kind === 'conv' ? first.input : []);
  let x = input;
  for (const layer of layers) {
    if (layer.kind === 'conv') x = addConv(draft, x, layer);
    else if (layer.kind === 'pool') {
      const axes = addTensor(draft, 'pool/axes', [2], Int32Array.of(1, 2));
      x = addStep(draft, 'mean', [x, axes], addTensor(draft, 'pool', [1, layer.channels]), table());
    } else {
      const { name, weight, bias } = layer;
      const operands = [
        addTensor(draft, `${name}/weight`, weight.shape, Float32Array.from(weight.data)),
        addTensor(draft, `${name}/bias`, bias.shape, Float32Array.from(bias.data)),
      ];
      const logits = addTensor(draft, 'logits', [1, weight.shape[0] ?? 0]);
      x = addStep(draft, 'fullyConnected', [x, ...operands], logits, table());
    }
  }
  const codes = operatorOrder.map((name) =>
    table(i8(operators[name]), undefined, i32(1), i32(operators[name])),
  );
  const subgraph = table(list(draft.tensors), ints([input]), ints([x]), list(draft.steps), text('main'));
  const buffers: readonly FlatValue[] = [table(), ...draft.buffers.map((data) => table(bytes(data)))];
  const model = table(i32(3), list(codes), list([subgraph]), text(net.graph.name), list(buffers));
  return encodeFlatbuffer(model, 'TFL3');
}
