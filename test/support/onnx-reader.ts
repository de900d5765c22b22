import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * ONNX files as plain data, written apart from the exporter so that a wrong field number there shows here.
 * Reads what tests need; fields it does not know are skipped.
 */

export interface OnnxArray {
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export type OnnxAttributeValue = number | string | readonly number[] | readonly string[] | OnnxArray;

export interface OnnxFileNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttributeValue>>;
}

export interface OnnxFile {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly nodes: readonly OnnxFileNode[];
  readonly initializers: Readonly<Record<string, OnnxArray>>;
  /** Names and dimensions; a word is a symbol. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: Readonly<Record<string, readonly (number | string)[]>>;
}

/** Every occurrence of every field: numbers for varints, bytes for the rest. */
type Message = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

function parse(bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (number | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [no, wire] = reader.tag();
    const value =
      wire === WireType.Varint
        ? Number(reader.int64())
        : wire === WireType.LengthDelimited
          ? reader.bytes()
          : reader.skip(wire, no);
    fields.set(no, [...(fields.get(no) ?? []), value]);
  }
  return fields;
}

const numbers = (m: Message, no: number): readonly number[] =>
  (m.get(no) ?? []).flatMap((value) => (typeof value === 'number' ? [value] : packedIntegers(value)));
const chunks = (m: Message, no: number): readonly Uint8Array[] =>
  (m.get(no) ?? []).flatMap((value) => (typeof value === 'number' ? [] : [value]));
const texts = (m: Message, no: number): readonly string[] =>
  chunks(m, no).map((bytes) => new TextDecoder().decode(bytes));
const text = (m: Message, no: number): string => texts(m, no)[0] ?? '';
const messages = (m: Message, no: number): readonly Message[] => chunks(m, no).map(parse);

function packedIntegers(bytes: Uint8Array): readonly number[] {
  const reader = new BinaryReader(bytes);
  const values: number[] = [];
  while (reader.pos < reader.len) values.push(Number(reader.int64()));
  return values;
}

type Width = readonly [bytes: number, read: (view: DataView, at: number) => number];
const float32: Width = [4, (view, at) => view.getFloat32(at, true)];

function packed(pieces: readonly Uint8Array[], [width, read]: Width): readonly number[] {
  return pieces.flatMap((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.byteLength / width }, (_, i) => read(view, i * width));
  });
}

/** TensorProto.DataType: name, how raw_data holds it, and the field that holds it otherwise. */
const dataTypes: Readonly<Record<number, readonly [dtype: string, width: Width, field: number]>> = {
  1: ['float32', float32, 4],
  2: ['uint8', [1, (view, at) => view.getUint8(at)], 5],
  3: ['int8', [1, (view, at) => view.getInt8(at)], 5],
  6: ['int32', [4, (view, at) => view.getInt32(at, true)], 5],
  7: ['int64', [8, (view, at) => Number(view.getBigInt64(at, true))], 7],
  9: ['bool', [1, (view, at) => view.getUint8(at)], 5],
  11: ['float64', [8, (view, at) => view.getFloat64(at, true)], 10],
};

function tensor(bytes: Uint8Array): OnnxArray & { readonly name: string } {
  const m = parse(bytes);
  const [dtype, width, field] = dataTypes[numbers(m, 2)[0] ?? 0] ?? ['unknown', float32, 0];
  const raw = m.has(9);
  const integers = field === 5 || field === 7;
  const data = integers && !raw ? numbers(m, field) : packed(chunks(m, raw ? 9 : field), width);
  return { name: text(m, 8), dtype, dims: numbers(m, 1), data };
}

function attribute(m: Message): readonly [string, OnnxAttributeValue] {
  const values: Readonly<Record<number, () => OnnxAttributeValue>> = {
    1: () => packed(chunks(m, 2), float32)[0] ?? 0,
    2: () => numbers(m, 3)[0] ?? 0,
    3: () => text(m, 4),
    4: () => tensor(chunks(m, 5)[0] ?? new Uint8Array()),
    6: () => packed(chunks(m, 7), float32),
    7: () => numbers(m, 8),
    8: () => texts(m, 9),
  };
  return [text(m, 1), values[numbers(m, 20)[0] ?? 0]?.() ?? 'unknown'];
}

function valueInfos(infos: readonly Message[]): OnnxFile['inputs'] {
  return Object.fromEntries(
    infos.map((info) => {
      const shape = messages(info, 2)
        .flatMap((type) => messages(type, 1))
        .flatMap((type) => messages(type, 2));
      const dims = shape
        .flatMap((each) => messages(each, 1))
        .map((dim) => (dim.has(2) ? text(dim, 2) : (numbers(dim, 1)[0] ?? 0)));
      return [text(info, 1), dims];
    }),
  );
}

export function readOnnx(bytes: Uint8Array): OnnxFile {
  const model = parse(bytes);
  const graph = messages(model, 7)[0] ?? new Map();
  const tensors = chunks(graph, 5).map(tensor);
  return {
    irVersion: numbers(model, 1)[0] ?? 0,
    opset: messages(model, 8).flatMap((set) => (text(set, 1) === '' ? numbers(set, 2) : []))[0] ?? 0,
    producer: text(model, 2),
    metadata: Object.fromEntries(messages(model, 14).map((entry) => [text(entry, 1), text(entry, 2)])),
    nodes: messages(graph, 1).map((node) => ({
      op: text(node, 4),
      inputs: texts(node, 1),
      outputs: texts(node, 2),
      attributes: Object.fromEntries(messages(node, 5).map(attribute)),
    })),
    initializers: Object.fromEntries(tensors.map(({ name, ...array }) => [name, array])),
    inputs: valueInfos(messages(graph, 11)),
    outputs: valueInfos(messages(graph, 12)),
  };
}
