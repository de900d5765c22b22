import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { golden, skipWithout } from '../../test/support/shared.ts';
import { FormatError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import { rawToTensor } from '../tensor/raw.ts';
import type { RawTensor } from '../tensor/tensor.ts';
import { memorySource } from './byte-source.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readCheckpoint } from './read-checkpoint.ts';
import { readSafetensors } from './safetensors/safetensors.ts';

interface Expected {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | string | bigint)[];
}

const dtypeNames: Readonly<Record<string, DType>> = {
  float64: 'f64',
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  int64: 'i64',
  int32: 'i32',
  int16: 'i16',
  int8: 'i8',
  uint8: 'u8',
  bool: 'bool',
};

function filesIn(...folder: string[]): string[] {
  return readdirSync(golden(...folder))
    .filter((name) => !/\.json$|\.md$|^LICENSE/.test(name))
    .map((name) => golden(...folder, name));
}

function load(path: string) {
  return memorySource(readFileSync(path), basename(path));
}

/** JSON with integers beyond 2^53 kept exactly, as bigint. */
function parseExact(text: string): unknown {
  const marked = text.replace(/([[ ])(-?\d{16,})(?=[,\]])/g, '$1"big:$2"');
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith('big:') ? BigInt(value.slice(4)) : value,
  );
}

/** The tensors in nested dicts and lists, by dotted path: the rule the reader states. */
function flatten(value: unknown, path: string[] = [], found = new Map<string, Expected>()) {
  if (typeof value !== 'object' || value === null) return found;
  if ('tensor' in value && value.tensor === true) {
    found.set(path.length > 0 ? path.join('.') : 'tensor', value as unknown as Expected);
    return found;
  }
  for (const [key, child] of Object.entries(value)) flatten(child, [...path, key], found);
  return found;
}

/** Integers as they are: a Tensor would round them to f32. */
function numbers(raw: RawTensor): (number | bigint)[] {
  if (raw.dtype === 'i64') {
    const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset, raw.bytes.byteLength);
    return Array.from({ length: raw.bytes.byteLength / 8 }, (_, i) => view.getBigInt64(8 * i, true));
  }
  if (raw.dtype === 'i32') {
    const view = new DataView(raw.bytes.buffer, raw.bytes.byteOffset, raw.bytes.byteLength);
    return Array.from({ length: raw.bytes.byteLength / 4 }, (_, i) => view.getInt32(4 * i, true));
  }
  return [...rawToTensor(raw).data];
}

async function assertTensors(checkpoint: Checkpoint, expected: ReadonlyMap<string, Expected>) {
  assert.deepEqual([...checkpoint.tensors.keys()].sort(), [...expected.keys()].sort());
  for (const [name, { dtype, shape, data }] of expected) {
    const lazy = checkpoint.tensors.get(name);
    assert.ok(lazy);
    const raw = await lazy.read();
    assert.equal(raw.dtype, dtypeNames[dtype], name);
    assert.deepEqual(raw.shape, shape, name);
    assert.deepEqual({ dtype: lazy.dtype, shape: lazy.shape }, { dtype: raw.dtype, shape: raw.shape });
    const want = data.map((item) => (raw.dtype === 'i64' ? BigInt(item) : Number(item)));
    assert.deepEqual(numbers(raw), want, name);
  }
}

const weightsAt: Readonly<Record<string, [path: string, prefix: string]>> = {
  'dataparallel_checkpoint.pth': ['state_dict', 'module.'],
  'checkpoint.pt': ['model_state_dict', ''],
  'test_with_key.pt': ['model_state_dict', ''],
};

test('PyTorch files give what torch.load gives', {
  skip: skipWithout('data', 'weights-torch'),
}, async (t) => {
  const folders = ['torch-2.13', 'torch-2.13-unusual', 'burn-reader', 'candle'];
  const paths = folders.flatMap((folder) => filesIn('data', 'weights-torch', folder));
  let compared = 0;
  for (const path of paths.filter((file) => basename(file) !== 'crc_mismatch.pth')) {
    const name = basename(path);
    const json = parseExact(readFileSync(`${path}.expected.json`, 'utf8')) as {
      container: string;
      value: unknown;
    };
    await t.test(name, async () => {
      const checkpoint = await readCheckpoint(load(path));
      const [at, prefix] = weightsAt[name] ?? ['', ''];
      assert.equal(checkpoint.container, `torch-${json.container}`);
      assert.equal(checkpoint.extra.weightsAt, at);
      assert.equal(checkpoint.extra.strippedPrefix, prefix);
      const value = at ? (json.value as Record<string, unknown>)[at] : json.value;
      const expected = new Map(
        [...flatten(value)].map(([key, tensor]) => [key.slice(prefix.length), tensor]),
      );
      await assertTensors(checkpoint, expected);
    });
    compared++;
  }
  assert.equal(compared, 46);
});

test('files that are no checkpoints are refused', {
  skip: skipWithout('data', 'weights-torch'),
}, async (t) => {
  const paths = ['refuse', 'torch-2.13-refuse'].flatMap((folder) => filesIn('data', 'weights-torch', folder));
  assert.equal(paths.length, 16);
  const reasons: Readonly<Record<string, RegExp>> = {
    'ancient_tar_2d_tensor.tar': /tar archive/,
    'ancient_tar_float32.tar': /tar archive/,
    'broken.pt': /unknown kind/,
    'global_eval_legacy.pth': /__builtin__\.eval, which is code/,
    'global_eval_zip.pth': /__builtin__\.eval, which is code/,
    'legacy_truncated.pth': /cut off/,
    'missing_storage.pth': /is missing/,
    'no_data_pkl.pth': /one data\.pkl/,
    'png_named.pth': /PNG picture/,
    'short_storage.pth': /needs \d+ bytes in .* has \d+/,
    'text.pth': /web page/,
    'truncated_half.pth': /no end record/,
    'truncated_tail.pth': /no end record/,
    'whole_module.pth': /pickled torch\.nn\.modules\.container\.Sequential object/,
    'zero_bytes.pth': /is empty/,
    'zip_of_other_things.pth': /one data\.pkl/,
  };
  for (const path of paths) {
    await t.test(basename(path), async () => {
      await assert.rejects(readCheckpoint(load(path)), (error) => {
        assert.ok(error instanceof FormatError);
        assert.match(error.message, reasons[basename(path)] ?? /^$/);
        return true;
      });
    });
  }
});

test('a wrong CRC is refused unless checksums are ignored', {
  skip: skipWithout('data', 'weights-torch'),
}, async () => {
  const path = golden('data', 'weights-torch', 'torch-2.13-unusual', 'crc_mismatch.pth');
  const readAll = async (checkpoint: Checkpoint) => {
    for (const tensor of checkpoint.tensors.values()) await tensor.read();
    return checkpoint.tensors.size;
  };
  assert.equal(await readAll(await readCheckpoint(load(path), { checksums: 'ignore' })), 8);
  await assert.rejects(async () => readAll(await readCheckpoint(load(path))), /CRC/);
});

test('safetensors files are read or refused as by the reference', {
  skip: skipWithout('data', 'weights-safetensors'),
}, async (t) => {
  const folder = golden('data', 'weights-safetensors');
  const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<
    string,
    { valid: boolean }
  >;
  for (const [name, { valid }] of Object.entries(expected)) {
    await t.test(name, async () => {
      const source = load(join(folder, name));
      if (!valid) {
        await assert.rejects(readSafetensors(source), FormatError);
        await assert.rejects(readCheckpoint(source), FormatError);
        return;
      }
      const checkpoint = await readCheckpoint(source);
      assert.equal(checkpoint.container, 'safetensors');
      for (const tensor of checkpoint.tensors.values()) await tensor.read();
    });
  }
  assert.equal(Object.keys(expected).length, 31);
  const mixed = JSON.parse(readFileSync(join(folder, 'mixed.safetensors.expected.json'), 'utf8')) as {
    metadata: Record<string, string>;
    tensors: Record<string, unknown>;
  };
  const checkpoint = await readCheckpoint(load(join(folder, 'mixed.safetensors')));
  assert.deepEqual(checkpoint.metadata, mixed.metadata);
  await assertTensors(checkpoint, flatten(mixed.tensors));
  const trap = await readCheckpoint(load(join(folder, 'proto_key.safetensors')));
  assert.deepEqual([...trap.tensors.keys()], ['__proto__']);
});
