/**
 * Just enough of FlatBuffers to write a model file: tables of 8- and 32-bit fields, vectors, strings. Parents come
 * before children, so that every offset points forward as the format asks.
 * @see https://flatbuffers.dev/internals
 */
export type FlatValue =
  | FlatTable
  | { readonly kind: 'ints'; readonly values: readonly number[] }
  | { readonly kind: 'list'; readonly items: readonly FlatValue[] }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'bytes'; readonly data: Uint8Array };

export interface FlatTable {
  readonly kind: 'table';
  /** By slot number of the schema; an absent one keeps the schema's default. */
  readonly fields: readonly (FlatField | undefined)[];
}

export type FlatField =
  | { readonly kind: 'i8'; readonly value: number }
  | { readonly kind: 'i32'; readonly value: number }
  | FlatValue;

export const i8 = (value: number): FlatField => ({ kind: 'i8', value });
export const i32 = (value: number): FlatField => ({ kind: 'i32', value });
export const ints = (values: readonly number[]): FlatValue => ({ kind: 'ints', values });
export const list = (items: readonly FlatValue[]): FlatValue => ({ kind: 'list', items });
export const text = (value: string): FlatValue => ({ kind: 'text', value });
export const bytes = (data: Uint8Array): FlatValue => ({ kind: 'bytes', data });
export const table = (...fields: readonly (FlatField | undefined)[]): FlatTable => ({
  kind: 'table',
  fields,
});

/** Alignment of the data of byte vectors, which hold tensors. */
const dataAlignment = 16;

/** A growing file. */
interface Output {
  /** Room for `length` bytes whose start plus `lead` is a multiple of `alignment`; returns where they start. */
  readonly reserve: (length: number, alignment: number, lead?: number) => number;
  readonly view: () => DataView;
  readonly finish: () => Uint8Array;
}

function createOutput(): Output {
  let buffer = new Uint8Array(1 << 16);
  let end = 0;
  return {
    reserve: (length, alignment, lead = 0) => {
      const start = Math.ceil((end + lead) / alignment) * alignment - lead;
      end = start + length;
      if (end > buffer.length) {
        const larger = new Uint8Array(Math.max(end, 2 * buffer.length));
        larger.set(buffer);
        buffer = larger;
      }
      return start;
    },
    view: () => new DataView(buffer.buffer),
    finish: () => buffer.slice(0, end),
  };
}

/** @param identifier four letters that name the schema, such as TFL3 */
export function encodeFlatbuffer(root: FlatTable, identifier: string): Uint8Array {
  const output = createOutput();
  const head = output.reserve(8, 4);
  new TextEncoder().encodeInto(identifier, new Uint8Array(output.view().buffer, head + 4, 4));
  link(output, head, root);
  return output.finish();
}

/** Writes a value and the distance to it into the field at `field`. */
function link(output: Output, field: number, value: FlatValue): void {
  const target = writeValue(output, value);
  output.view().setUint32(field, target - field, true);
}

type Writer<K extends FlatValue['kind']> = (output: Output, value: Extract<FlatValue, { kind: K }>) => number;

const writers: { readonly [K in FlatValue['kind']]: Writer<K> } = {
  table: writeTable,
  ints: (output, { values }) => {
    const at = startVector(output, values.length, 4);
    for (const [i, number] of values.entries()) output.view().setInt32(at + 4 + 4 * i, number, true);
    return at;
  },
  list: (output, { items }) => {
    const at = startVector(output, items.length, 4);
    for (const [i, item] of items.entries()) link(output, at + 4 + 4 * i, item);
    return at;
  },
  text: (output, { value }) => {
    const data = new TextEncoder().encode(`${value}\0`);
    const at = writeBytes(output, data, 4);
    output.view().setUint32(at, data.length - 1, true); // the closing zero is not counted
    return at;
  },
  bytes: (output, { data }) => writeBytes(output, data, dataAlignment),
};

function writeValue<K extends FlatValue['kind']>(
  output: Output,
  value: Extract<FlatValue, { kind: K }>,
): number {
  const write: Writer<K> = writers[value.kind as K];
  return write(output, value);
}

function startVector(output: Output, count: number, width: number, alignment = 4): number {
  const at = output.reserve(4 + count * width, alignment, 4);
  output.view().setUint32(at, count, true);
  return at;
}

function writeBytes(output: Output, data: Uint8Array, alignment: number): number {
  const at = startVector(output, data.length, 1, alignment);
  new Uint8Array(output.view().buffer).set(data, at + 4);
  return at;
}

/** The table of field positions, then the fields, four bytes each. */
function writeTable(output: Output, { fields }: FlatTable): number {
  const entries = 4 + 2 * fields.length;
  const present = fields.flatMap((field, slot) => (field === undefined ? [] : [{ field, slot }]));
  const length = 4 + 4 * present.length;
  const start = output.reserve(entries + length, 4, entries);
  const at = start + entries;
  output.view().setUint16(start, entries, true);
  output.view().setUint16(start + 2, length, true);
  output.view().setInt32(at, entries, true);
  present.forEach(({ field, slot }, i) => {
    const position = 4 + 4 * i;
    output.view().setUint16(start + 4 + 2 * slot, position, true);
    if (field.kind === 'i8') output.view().setInt8(at + position, field.value);
    else if (field.kind === 'i32') output.view().setInt32(at + position, field.value, true);
    else link(output, at + position, field);
  });
  return at;
}
