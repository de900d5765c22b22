import { FormatError } from '../../errors.ts';
import {
  bytesOrText,
  decimalInteger,
  float64,
  int32,
  line,
  longInteger,
  type PickleCursor,
  take,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
} from './pickle-cursor.ts';
import { escapedText, quotedText, textFloat, textInteger } from './pickle-text.ts';
import { describeValue, isNode, type PickleDict, type PickleList, type PickleValue } from './pickle-value.ts';

/** The meaning that names and references have to the reader of one kind of file. */
export interface PickleHooks {
  /** A class or function named by the pickle. @throws FormatError to refuse it */
  global(name: string): PickleValue;
  /** `callee(*args)`, or an object made by a class: what it stands for. Nothing may be executed. */
  call(callee: PickleValue, args: readonly PickleValue[]): PickleValue;
  /** A reference to something outside the pickle. */
  persistent(id: PickleValue): PickleValue;
}

interface Machine extends PickleCursor {
  readonly hooks: PickleHooks;
  readonly stack: PickleValue[];
  /** Stack heights at each open MARK. */
  readonly marks: number[];
  readonly memo: Map<number, PickleValue>;
}

/**
 * Interprets one pickle of protocol 0 to 5 and leaves the cursor behind it. Each instruction makes at most one
 * value no larger than the bytes it consumed, so memory stays within a small multiple of the pickle.
 * @throws FormatError for anything that is not a well-formed pickle, and what the hooks refuse
 * @see CPython Lib/pickletools.py, which documents every opcode
 */
export function readPickle(cursor: PickleCursor, hooks: PickleHooks): PickleValue {
  const { bytes, view, at } = cursor;
  const machine: Machine = { bytes, view, at, hooks, stack: [], marks: [], memo: new Map() };
  for (;;) {
    const start = machine.at;
    const opcode = uint8(machine);
    if (opcode === stop) break;
    const instruction = instructions.get(opcode);
    if (!instruction) {
      throw new FormatError(
        `the pickle has the unknown instruction 0x${opcode.toString(16)} at byte ${start}.`,
      );
    }
    instruction(machine);
  }
  cursor.at = machine.at;
  return pop(machine);
}

function pop(m: Machine): PickleValue {
  const value = m.stack.length > (m.marks.at(-1) ?? 0) ? m.stack.pop() : undefined;
  if (value === undefined) throw damaged(m, 'takes a value that is not there');
  return value;
}

function top(m: Machine): PickleValue {
  const value = m.stack.at(-1);
  if (value === undefined) throw damaged(m, 'needs a value that is not there');
  return value;
}

function popToMark(m: Machine): PickleValue[] {
  const mark = m.marks.pop();
  if (mark === undefined) throw damaged(m, 'has no mark');
  return m.stack.splice(mark);
}

function damaged(m: Machine, what: string): FormatError {
  return new FormatError(`the pickle's instruction before byte ${m.at} ${what}; the file is damaged.`);
}

function tuple(items: readonly PickleValue[]): PickleValue {
  return { kind: 'tuple', items };
}

function append(m: Machine, values: readonly PickleValue[]): void {
  const target = top(m);
  const kind = isNode(target) ? target.kind : undefined;
  if (kind === 'object') return;
  if (!isNode(target) || target.kind !== 'list') {
    throw damaged(m, `appends to ${describeValue(target)}`);
  }
  for (const value of values) target.items.push(value);
}

function setItems(m: Machine, values: readonly PickleValue[]): void {
  const target = top(m);
  if (values.length % 2 !== 0) throw damaged(m, 'has a key without a value');
  if (isNode(target) && target.kind === 'object') return;
  if (!isNode(target) || target.kind !== 'dict') throw damaged(m, `sets items of ${describeValue(target)}`);
  for (let i = 0; i + 1 < values.length; i += 2) target.entries.set(values[i] ?? null, values[i + 1] ?? null);
}

/** State of an object: dropped, since classes have no meaning here. Python lets anything have state. */
function build(m: Machine): void {
  pop(m);
  top(m);
}

function memoGet(m: Machine, index: number): void {
  const value = m.memo.get(index);
  if (value === undefined) throw damaged(m, `recalls memo ${index}, which was never stored`);
  m.stack.push(value);
}

function memoIndex(m: Machine): number {
  const index = decimalInteger(m);
  if (typeof index === 'number' && index >= 0) return index;
  throw damaged(m, `names memo ${index}`);
}

function call(m: Machine, callee: PickleValue, args: PickleValue): void {
  if (!isNode(args) || args.kind !== 'tuple') throw damaged(m, `calls with ${describeValue(args)}`);
  m.stack.push(m.hooks.call(callee, args.items));
}

function reduce(m: Machine): void {
  const args = pop(m);
  call(m, pop(m), args);
}

/** Keyword arguments of NEWOBJ_EX can only belong to classes without meaning here. */
function newObjectWithKeywords(m: Machine): void {
  pop(m);
  reduce(m);
}

function stackGlobal(m: Machine): void {
  const name = pop(m);
  const module = pop(m);
  if (typeof name !== 'string' || typeof module !== 'string') throw damaged(m, 'names a global by no text');
  m.stack.push(m.hooks.global(`${module}.${name}`));
}

function lineGlobal(m: Machine): PickleValue {
  const module = line(m);
  return m.hooks.global(`${module}.${line(m)}`);
}

function objectFromStack(m: Machine): void {
  const [callee, ...args] = popToMark(m);
  if (callee === undefined) throw damaged(m, 'makes an object of no class');
  m.stack.push(m.hooks.call(callee, args));
}

function protocol(m: Machine): void {
  const version = uint8(m);
  if (version > 5) throw damaged(m, `announces protocol ${version}, known are 0 to 5`);
}

type Instruction = (m: Machine) => void;
const push =
  (make: (m: Machine) => PickleValue): Instruction =>
  (m) => {
    m.stack.push(make(m));
  };
const refuse =
  (what: string): Instruction =>
  (m) => {
    throw new FormatError(`the pickle uses ${what} before byte ${m.at}, which torch.save never does.`);
  };
const popTuple = (length: number): Instruction =>
  push((m) => {
    const items: PickleValue[] = [];
    for (let i = 0; i < length; i++) items.unshift(pop(m));
    return tuple(items);
  });
const newList = (items: PickleValue[] = []): PickleList => ({ kind: 'list', items });
const newDict = (): PickleDict => ({ kind: 'dict', entries: new Map() });
const dictFromMark: Instruction = (m) => {
  const values = popToMark(m);
  m.stack.push(newDict());
  setItems(m, values);
};
const appendOne: Instruction = (m) => {
  const value = pop(m);
  append(m, [value]);
};
const setItem: Instruction = (m) => {
  const value = pop(m);
  const key = pop(m);
  setItems(m, [key, value]);
};
/** POP takes a value, or the mark on top of the stack. */
const discard: Instruction = (m) => {
  if (m.marks.length > 0 && m.marks.at(-1) === m.stack.length) m.marks.pop();
  else pop(m);
};

const stop = 0x2e;

/** Every opcode of protocols 0 to 5 but STOP, by its byte. */
const instructions: ReadonlyMap<number, Instruction> = new Map<number, Instruction>([
  [0x28, (m) => void m.marks.push(m.stack.length)], // MARK
  [0x29, push(() => tuple([]))], // EMPTY_TUPLE
  [0x30, discard], // POP
  [0x31, (m) => void popToMark(m)], // POP_MARK
  [0x32, push(top)], // DUP
  [0x42, push((m) => take(m, uint32(m)))], // BINBYTES
  [0x43, push((m) => take(m, uint8(m)))], // SHORT_BINBYTES
  [0x46, push(textFloat)], // FLOAT
  [0x47, push(float64)], // BINFLOAT
  [0x49, push(textInteger)], // INT
  [0x4a, push(int32)], // BININT
  [0x4b, push(uint8)], // BININT1
  [0x4c, push(decimalInteger)], // LONG
  [0x4d, push(uint16)], // BININT2
  [0x4e, push(() => null)], // NONE
  [0x50, push((m) => m.hooks.persistent(line(m)))], // PERSID
  [0x51, push((m) => m.hooks.persistent(pop(m)))], // BINPERSID
  [0x52, reduce], // REDUCE
  [0x53, push(quotedText)], // STRING
  [0x54, push((m) => bytesOrText(m, int32(m)))], // BINSTRING
  [0x55, push((m) => bytesOrText(m, uint8(m)))], // SHORT_BINSTRING
  [0x56, push(escapedText)], // UNICODE
  [0x58, push((m) => utf8(m, uint32(m)))], // BINUNICODE
  [0x5d, push(() => newList())], // EMPTY_LIST
  [0x61, appendOne], // APPEND
  [0x62, build], // BUILD
  [0x63, push(lineGlobal)], // GLOBAL
  [0x64, dictFromMark], // DICT
  [0x65, (m) => append(m, popToMark(m))], // APPENDS
  [0x67, (m) => memoGet(m, memoIndex(m))], // GET
  [0x68, (m) => memoGet(m, uint8(m))], // BINGET
  [0x69, push((m) => m.hooks.call(lineGlobal(m), popToMark(m)))], // INST
  [0x6a, (m) => memoGet(m, uint32(m))], // LONG_BINGET
  [0x6c, push((m) => newList(popToMark(m)))], // LIST
  [0x6f, objectFromStack], // OBJ
  [0x70, (m) => void m.memo.set(memoIndex(m), top(m))], // PUT
  [0x71, (m) => void m.memo.set(uint8(m), top(m))], // BINPUT
  [0x72, (m) => void m.memo.set(uint32(m), top(m))], // LONG_BINPUT
  [0x73, setItem], // SETITEM
  [0x74, push((m) => tuple(popToMark(m)))], // TUPLE
  [0x75, (m) => setItems(m, popToMark(m))], // SETITEMS
  [0x7d, push(newDict)], // EMPTY_DICT
  [0x80, protocol], // PROTO
  [0x81, reduce], // NEWOBJ
  [0x82, refuse('a copyreg extension')], // EXT1
  [0x83, refuse('a copyreg extension')], // EXT2
  [0x84, refuse('a copyreg extension')], // EXT4
  [0x85, popTuple(1)], // TUPLE1
  [0x86, popTuple(2)], // TUPLE2
  [0x87, popTuple(3)], // TUPLE3
  [0x88, push(() => true)], // NEWTRUE
  [0x89, push(() => false)], // NEWFALSE
  [0x8a, push((m) => longInteger(m, uint8(m)))], // LONG1
  [0x8b, push((m) => longInteger(m, int32(m)))], // LONG4
  [0x8c, push((m) => utf8(m, uint8(m)))], // SHORT_BINUNICODE
  [0x8d, push((m) => utf8(m, uint64(m)))], // BINUNICODE8
  [0x8e, push((m) => take(m, uint64(m)))], // BINBYTES8
  [0x8f, push(() => newList())], // EMPTY_SET
  [0x90, (m) => append(m, popToMark(m))], // ADDITEMS
  [0x91, push((m) => newList(popToMark(m)))], // FROZENSET
  [0x92, newObjectWithKeywords], // NEWOBJ_EX
  [0x93, stackGlobal], // STACK_GLOBAL
  [0x94, (m) => void m.memo.set(m.memo.size, top(m))], // MEMOIZE
  [0x95, (m) => void uint64(m)], // FRAME: only announces how much to buffer
  [0x96, push((m) => take(m, uint64(m)))], // BYTEARRAY8
  [0x97, refuse('an out-of-band buffer')], // NEXT_BUFFER
  [0x98, refuse('an out-of-band buffer')], // READONLY_BUFFER
]);
