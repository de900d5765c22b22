import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * The part of onnx.proto that a model of ours needs: plain messages, and one table a message that gives each
 * field its number and wire form. The file is proto2, so repeated integers are not packed.
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

export interface OnnxModel {
  readonly irVersion: number;
  readonly opsetImport: readonly { readonly domain: string; readonly version: number }[];
  readonly producerName: string;
  readonly producerVersion?: string;
  readonly graph: OnnxGraph;
  readonly metadataProps: readonly { readonly key: string; readonly value: string }[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly input: readonly OnnxValueInfo[];
  readonly output: readonly OnnxValueInfo[];
  readonly initializer: readonly OnnxTensor[];
  /** In running order. */
  readonly node: readonly OnnxNode[];
}

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  /** An input that is left out is the empty name. */
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly OnnxAttribute[];
}

/** Exactly one of `f`, `i`, `s`, `ints` is there, and `type` says which. */
export interface OnnxAttribute {
  readonly name: string;
  readonly type: number;
  readonly f?: number;
  readonly i?: number;
  readonly s?: string;
  readonly ints?: readonly number[];
}

export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: number;
  /** Little-endian, row-major. */
  readonly rawData: Uint8Array;
}

/** A dimension that is a word varies from run to run; the same word means the same size. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: { readonly tensorType: OnnxTensorType };
}

interface OnnxTensorType {
  readonly elemType: number;
  readonly shape: { readonly dim: readonly OnnxDim[] };
}

interface OnnxDim {
  readonly dimValue?: number;
  readonly dimParam?: string;
}

export const dataTypes = { float: 1, int64: 7 } as const;
const attributeTypes = { f: 1, i: 2, s: 3, ints: 7 } as const;

/** Attributes from a plain object. Every number is an integer unless wrapped as `{ f }`. */
export function onnxAttributes(
  values: Readonly<Record<string, number | string | readonly number[] | { readonly f: number }>>,
): readonly OnnxAttribute[] {
  return Object.entries(values).map(([name, value]) => {
    if (typeof value === 'number') return { name, type: attributeTypes.i, i: value };
    if (typeof value === 'string') return { name, type: attributeTypes.s, s: value };
    if ('f' in value) return { name, type: attributeTypes.f, f: value.f };
    return { name, type: attributeTypes.ints, ints: value };
  });
}

type Put<T> = (writer: BinaryWriter, value: T) => void;
type Fields<T> = { readonly [F in keyof T]-?: Put<NonNullable<T[F]>> };

const int64 =
  (no: number): Put<number> =>
  (writer, value) =>
    writer.tag(no, WireType.Varint).int64(value);
const float =
  (no: number): Put<number> =>
  (writer, value) =>
    writer.tag(no, WireType.Bit32).float(value);
const string =
  (no: number): Put<string> =>
  (writer, value) =>
    writer.tag(no, WireType.LengthDelimited).string(value);
const bytes =
  (no: number): Put<Uint8Array> =>
  (writer, value) =>
    writer.tag(no, WireType.LengthDelimited).bytes(value);
const message =
  <T>(no: number, fields: Fields<T>): Put<T> =>
  (writer, value) => {
    writer.tag(no, WireType.LengthDelimited).fork();
    putFields(writer, fields, value);
    writer.join();
  };
const each =
  <T>(put: Put<T>): Put<readonly T[]> =>
  (writer, values) => {
    for (const value of values) put(writer, value);
  };

function putFields<T>(writer: BinaryWriter, fields: Fields<T>, value: T): void {
  for (const key in fields) {
    const field = value[key];
    if (field !== undefined && field !== null) fields[key](writer, field);
  }
}

const dimFields: Fields<OnnxDim> = { dimValue: int64(1), dimParam: string(2) };
const tensorTypeFields: Fields<OnnxTensorType> = {
  elemType: int64(1),
  shape: message(2, { dim: each(message(1, dimFields)) }),
};
const valueInfoFields: Fields<OnnxValueInfo> = {
  name: string(1),
  type: message(2, { tensorType: message(1, tensorTypeFields) }),
};
const tensorFields: Fields<OnnxTensor> = {
  dims: each(int64(1)),
  dataType: int64(2),
  name: string(8),
  rawData: bytes(9),
};
const attributeFields: Fields<OnnxAttribute> = {
  name: string(1),
  f: float(2),
  i: int64(3),
  s: string(4),
  ints: each(int64(8)),
  type: int64(20),
};
const nodeFields: Fields<OnnxNode> = {
  input: each(string(1)),
  output: each(string(2)),
  name: string(3),
  opType: string(4),
  attribute: each(message(5, attributeFields)),
};
const graphFields: Fields<OnnxGraph> = {
  node: each(message(1, nodeFields)),
  name: string(2),
  initializer: each(message(5, tensorFields)),
  input: each(message(11, valueInfoFields)),
  output: each(message(12, valueInfoFields)),
};
const modelFields: Fields<OnnxModel> = {
  irVersion: int64(1),
  producerName: string(2),
  producerVersion: string(3),
  graph: message(7, graphFields),
  opsetImport: each(message(8, { domain: string(1), version: int64(2) })),
  metadataProps: each(message(14, { key: string(1), value: string(2) })),
};

export function encodeModel(model: OnnxModel): Uint8Array {
  const writer = new BinaryWriter();
  putFields(writer, modelFields, model);
  return writer.finish();
}
