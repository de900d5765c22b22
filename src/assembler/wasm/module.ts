/** A WebAssembly module: functions, a table of those that are called by number, one imported memory. */
import { CodeBuffer } from '../code-buffer.ts';
import { type Emitter, unsignedLeb, type ValueType } from './emitter.ts';

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

export interface ModuleFunction {
  /** Index into the module's types. */
  readonly type: number;
  readonly body: Emitter;
  readonly exportName?: string;
}

export interface ModuleParts {
  readonly types: readonly FunctionType[];
  readonly sharedMemory: boolean;
  readonly functions: readonly ModuleFunction[];
  /** The first so many functions stand in table 0, each at its own index. */
  readonly tableSize: number;
}

export const MAXIMUM_PAGES = 65536;
export const PAGE_BYTES = 65536;

const FUNCTION_TYPE = 0x60;
const FUNCTION_REFERENCE = 0x70;

function name(buffer: CodeBuffer, text: string): void {
  const bytes = new TextEncoder().encode(text);
  unsignedLeb(buffer, bytes.length);
  buffer.bytes(bytes);
}

export function encodeModule(parts: ModuleParts): Uint8Array<ArrayBuffer> {
  const out = new CodeBuffer(1 << 14);
  out.u32(0x6d736100);
  out.u32(1);
  const section = (id: number, write: (buffer: CodeBuffer) => void): void => {
    const content = new CodeBuffer();
    write(content);
    out.u8(id);
    unsignedLeb(out, content.length);
    out.bytes(content.view());
  };
  section(1, (b) => typeSection(b, parts.types));
  section(2, (b) => importSection(b, parts.sharedMemory));
  section(3, (b) => {
    unsignedLeb(b, parts.functions.length);
    for (const { type } of parts.functions) unsignedLeb(b, type);
  });
  section(4, (b) => {
    unsignedLeb(b, 1);
    b.u8(FUNCTION_REFERENCE);
    b.u8(1);
    unsignedLeb(b, parts.tableSize);
    unsignedLeb(b, parts.tableSize);
  });
  section(7, (b) => exportSection(b, parts.functions));
  section(9, (b) => elementSection(b, parts.tableSize));
  section(10, (b) => {
    unsignedLeb(b, parts.functions.length);
    for (const { body } of parts.functions) functionBody(b, body);
  });
  return out.copy();
}

function typeSection(b: CodeBuffer, types: readonly FunctionType[]): void {
  unsignedLeb(b, types.length);
  for (const { parameters, results } of types) {
    b.u8(FUNCTION_TYPE);
    for (const list of [parameters, results]) {
      unsignedLeb(b, list.length);
      for (const type of list) b.u8(type);
    }
  }
}

function importSection(b: CodeBuffer, shared: boolean): void {
  unsignedLeb(b, 1);
  name(b, 'env');
  name(b, 'memory');
  b.u8(2);
  b.u8(shared ? 3 : 0);
  unsignedLeb(b, 1);
  if (shared) unsignedLeb(b, MAXIMUM_PAGES);
}

function exportSection(b: CodeBuffer, functions: readonly ModuleFunction[]): void {
  const exported = functions.flatMap(({ exportName }, index) =>
    exportName === undefined ? [] : [{ exportName, index }],
  );
  unsignedLeb(b, exported.length);
  for (const { exportName, index } of exported) {
    name(b, exportName);
    b.u8(0);
    unsignedLeb(b, index);
  }
}

function elementSection(b: CodeBuffer, count: number): void {
  unsignedLeb(b, 1);
  for (const byte of [0, 0x41, 0, 0x0b]) b.u8(byte); // active, table 0, from index 0 on
  unsignedLeb(b, count);
  for (let i = 0; i < count; i++) unsignedLeb(b, i);
}

function functionBody(b: CodeBuffer, body: Emitter): void {
  const locals = new CodeBuffer(32);
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of body.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  unsignedLeb(locals, runs.length);
  for (const { type, count } of runs) {
    unsignedLeb(locals, count);
    locals.u8(type);
  }
  unsignedLeb(b, locals.length + body.code.length + 1);
  b.bytes(locals.view());
  b.bytes(body.code.view());
  b.u8(0x0b);
}
