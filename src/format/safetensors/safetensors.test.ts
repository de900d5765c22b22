import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floats, joinBytes, little } from '../../../test/support/checkpoint-fixtures.ts';
import { FormatError } from '../../errors.ts';
import { dtypeBytes } from '../../tensor/dtype.ts';
import { createRandom } from '../../tensor/random.ts';
import type { RawTensor } from '../../tensor/tensor.ts';
import { memorySource } from '../byte-source.ts';
import { readSafetensors } from './safetensors.ts';
import { safetensorsDTypes } from './safetensors-dtypes.ts';
import { writeSafetensors } from './safetensors-write.ts';
import { parseStrictJson } from './strict-json.ts';

const open = (bytes: Uint8Array) => readSafetensors(memorySource(bytes, 'x.safetensors'));
const file = (header: string, data: Uint8Array = new Uint8Array(0)) => {
  const text = new TextEncoder().encode(header);
  return joinBytes(little(text.length, 8), text, data);
};

test('what is written is read again: every dtype, aligned, in order', async () => {
  const random = createRandom(3);
  const tensors = new Map<string, RawTensor>();
  for (const dtype of safetensorsDTypes.values()) {
    for (const shape of [[3, 2], [], [0, 4]]) {
      const count = shape.reduce((product, dim) => product * dim, 1);
      const bytes = Uint8Array.from({ length: count * dtypeBytes[dtype] }, () => random.integer(256));
      tensors.set(`${dtype} ${JSON.stringify(shape)} "\\ü\n`, { dtype, shape, bytes });
    }
  }
  tensors.set('__proto__', { dtype: 'f32', shape: [1], bytes: floats(1) });
  const metadata = { format: 'pt', 'größe "x"': '\u0000\n' };
  const bytes = writeSafetensors(tensors, metadata);
  assert.deepEqual(writeSafetensors(tensors, metadata), bytes);
  const checkpoint = await open(bytes);
  assert.deepEqual(checkpoint.metadata, metadata);
  assert.equal(checkpoint.tensors.size, tensors.size);
  for (const [name, lazy] of checkpoint.tensors) {
    const raw = await lazy.read();
    assert.deepEqual(raw, tensors.get(name));
    assert.equal(raw.bytes.byteOffset % Math.min(8, dtypeBytes[raw.dtype]), 0, name);
  }
  const floatNames = [...tensors.keys()].filter((name) => tensors.get(name)?.dtype === 'f32');
  assert.deepEqual(
    [...checkpoint.tensors.keys()].filter((name) => floatNames.includes(name)),
    floatNames,
  );
});

test('the writer refuses what cannot be said', () => {
  const write = (name: string, raw: RawTensor) => () => writeSafetensors(new Map([[name, raw]]));
  assert.throws(write('a', { dtype: 'f32', shape: [2], bytes: floats(1) }), FormatError);
  assert.throws(write('a', { dtype: 'f32', shape: [-1], bytes: floats() }), FormatError);
  assert.throws(write('a', { dtype: 'c128', shape: [0], bytes: floats() }), FormatError);
  assert.throws(write('__metadata__', { dtype: 'f32', shape: [1], bytes: floats(1) }), FormatError);
});

test('headers that lie are refused with what is wrong', async () => {
  const one = (entry: string, data = floats(1, 2)) => file(`{"w":${entry}}`, data);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [one('{"dtype":"F32","shape":[2],"data_offsets":[0,8],"shape":[2]}'), /"shape" occurs twice/],
    [file('{"w":{},"w":{}}'), /"w" occurs twice/],
    [one('{"dtype":"F32","shape":[2]}'), /data_offsets/],
    [one('{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}'), /data_offsets/],
    [one('{"dtype":"F32","shape":[2],"data_offsets":[8,0]}'), /begin <= end/],
    [one('{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}'), /data_offsets/],
    [one('{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}'), /"shape" of whole numbers/],
    [one('{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}'), /"shape" of whole numbers/],
    [one('{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}'), /"shape" of whole numbers/],
    [one('{"dtype":"F32","shape":[67108864,67108864,2],"data_offsets":[0,8]}'), /more than 2\^53/],
    [
      one('{"dtype":"F32","shape":[3],"data_offsets":[0,8]}'),
      /needs 12 bytes, but data_offsets \[0,8\] gives 8/,
    ],
    [one('{"dtype":"f32","shape":[2],"data_offsets":[0,8]}'), /dtype "f32"/],
    [one('{"dtype":"constructor","shape":[2],"data_offsets":[0,8]}'), /dtype "constructor"/],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'), /must begin at byte 0/],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'), /fill 4 bytes, but the file has 8/],
    [one('[]'), /described by an object/],
    [file('{"__metadata__":[]}'), /__metadata__ must be an object/],
    [file('{"__metadata__":{"a":null}}'), /"a" must be a string/],
    [file('{} x'), /after the end/],
    [file('\ufeff{}'), /expected a value/],
    [file(`${'['.repeat(100)}`), /nested deeper/],
  ];
  for (const [bytes, message] of cases) {
    await assert.rejects(open(bytes), (error) => {
      assert.ok(error instanceof FormatError);
      assert.match(error.message, message);
      return true;
    });
  }
  // Fields the format does not know are no reason to refuse a file.
  const extra = one('{"dtype":"F32","shape":[2],"data_offsets":[0,8],"note":[1.5e3,true,null,{"a":"b"}]}');
  assert.equal((await open(extra)).tensors.size, 1);
});

test('strict JSON: what JSON.parse accepts, but no duplicate keys', () => {
  const valid = ['[]', ' {"a" : [ 1 , -2.5e+3, "x\\u0041\\n" ] } ', '"\u007f"', 'true', 'null', '-0'];
  for (const text of valid) assert.doesNotThrow(() => parseStrictJson(text), text);
  const invalid = [
    '',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "'a'",
    '01',
    '+1',
    '1.',
    '.5',
    '1e',
    'nul',
    '"\n"',
    '"\\x"',
    '"a',
    '[1 2]',
    '{"a" 1}',
    '1'.repeat(40),
  ];
  for (const text of invalid) assert.throws(() => parseStrictJson(text), FormatError, text);
  assert.deepEqual(
    parseStrictJson('{"a":12345678901234567890}'),
    new Map([['a', { number: '12345678901234567890' }]]),
  );
});
