import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  contiguous,
  floats,
  joinBytes,
  type PickleInput,
  pickle,
  tensorInput,
  torchLegacy,
  torchZip,
  zip,
} from '../../../test/support/checkpoint-fixtures.ts';
import { FormatError } from '../../errors.ts';
import { createRandom } from '../../tensor/random.ts';
import { rawToTensor } from '../../tensor/raw.ts';
import { memorySource } from '../byte-source.ts';
import type { ReadOptions } from '../checkpoint.ts';
import { readCheckpoint } from '../read-checkpoint.ts';

const dict = (entries: Readonly<Record<string, PickleInput>>): PickleInput =>
  new Map(Object.entries(entries));
const open = (bytes: Uint8Array, options?: ReadOptions) =>
  readCheckpoint(memorySource(bytes, 'x.pth'), options);

async function valuesOf(bytes: Uint8Array): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [name, lazy] of (await open(bytes)).tensors)
    values[name] = [...rawToTensor(await lazy.read()).data];
  return values;
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const work = async () => {
    for (const tensor of (await open(bytes)).tensors.values()) await tensor.read();
  };
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

const four = floats(1, 2, 3, 4);
const storage = (type: string, key: string, elements: number): PickleInput => ({
  persistent: ['storage', { global: type }, key, 'cpu', elements],
});

test('zip archives: stored, deflated, zip64, with a comment', async () => {
  const root = dict({ w: tensorInput({ key: '0', shape: [2, 2] }) });
  for (const options of [{}, { deflate: true }, { zip64: true }, { comment: 'made by hand' }]) {
    assert.deepEqual(await valuesOf(torchZip(root, { 0: four }, options)), { w: [1, 2, 3, 4] });
  }
});

test('a big-endian archive is swapped, element by element', async () => {
  const swapped = joinBytes([...four].reverse());
  const root = dict({
    w: tensorInput({ key: '0', shape: [4] }),
    t: tensorInput({ key: '0', shape: [2, 2], stride: [1, 2] }),
  });
  const bytes = torchZip(root, { 0: swapped }, { byteorder: 'big' });
  assert.deepEqual(await valuesOf(bytes), { w: [4, 3, 2, 1], t: [4, 2, 3, 1] });
  const complex = dict({ c: tensorInput({ key: '0', shape: [2], storage: 'torch ComplexFloatStorage' }) });
  const raw = await (await open(torchZip(complex, { 0: swapped }, { byteorder: 'big' }))).tensors
    .get('c')
    ?.read();
  assert.deepEqual(raw, { dtype: 'c64', shape: [2], bytes: floats(4, 3, 2, 1) });
  await refused(torchZip(root, { 0: four }, { byteorder: 'middle' }), /byteorder/);
});

test('random strided views equal a gather by definition', async () => {
  const random = createRandom(5);
  const stored = Array.from({ length: 500 }, (_, i) => i);
  for (let round = 0; round < 200; round++) {
    const shape = Array.from({ length: random.integer(5) }, () => random.integer(4));
    const stride = random.uniform() < 0.3 ? contiguous(shape) : shape.map(() => random.integer(20));
    const offset = random.integer(40);
    const expected: number[] = [];
    const walk = (d: number, at: number): void => {
      if (d === shape.length) expected.push(stored[at] ?? Number.NaN);
      else for (let i = 0; i < (shape[d] ?? 0); i++) walk(d + 1, at + i * (stride[d] ?? 0));
    };
    walk(0, offset);
    const view = tensorInput({ key: '0', shape, stride, offset, elements: 500 });
    const got = await valuesOf(torchZip(dict({ w: view }), { 0: floats(...stored) }));
    assert.deepEqual(got, { w: expected });
  }
});

test('dtypes of untyped storages, and tensors that are no plain arrays', async () => {
  const rebuild = (type: string): PickleInput => ({
    call: 'torch._utils _rebuild_tensor_v3',
    args: [
      storage('torch.storage UntypedStorage', '0', 16),
      1,
      { tuple: [2] },
      { tuple: [1] },
      false,
      dict({}),
      { global: `torch ${type}` },
    ],
  });
  const types = {
    uint16: 'u16',
    uint32: 'u32',
    uint64: undefined,
    float8_e4m3fn: 'f8e4m3',
    float8_e5m2: 'f8e5m2',
  };
  for (const [name, dtype] of Object.entries(types)) {
    if (!dtype) {
      await refused(torchZip(dict({ w: rebuild(name) }), { 0: four }), /reaches element 3/);
      continue;
    }
    const raw = await (await open(torchZip(dict({ w: rebuild(name) }), { 0: four }))).tensors
      .get('w')
      ?.read();
    assert.equal(raw?.dtype, dtype);
    const width = raw.bytes.length / 2;
    assert.deepEqual([...raw.bytes], [...four.subarray(width, 3 * width)]);
  }
  const quantized: PickleInput = {
    call: 'torch._utils _rebuild_qtensor',
    args: [storage('torch QInt8Storage', '0', 16), 0],
  };
  const parameter: PickleInput = {
    call: 'torch._utils _rebuild_parameter',
    args: [tensorInput({ key: '0', shape: [1], elements: 4 }), true, dict({})],
  };
  const subclass: PickleInput = {
    call: 'torch._tensor _rebuild_from_type_v2',
    args: [
      { global: 'torch._utils _rebuild_tensor_v2' },
      { global: 'my.module Tagged' },
      { tuple: [storage('torch FloatStorage', '0', 4), 3, { tuple: [1] }, { tuple: [1] }, false, null] },
      dict({}),
    ],
  };
  const found = await open(
    torchZip(dict({ quantized, parameter, subclass, unknown: rebuild('float7') }), { 0: four }),
  );
  assert.deepEqual([...found.tensors.keys()], ['parameter', 'subclass']);
  assert.equal(found.extra.others.get('quantized'), 'torch._utils._rebuild_qtensor object');
  assert.equal(found.extra.others.get('unknown'), 'tensor of torch.storage.UntypedStorage object');
});

test('the weights are found among everything else', async () => {
  const w = (offset: number) => tensorInput({ key: '0', shape: [1], offset, elements: 4 });
  const history: PickleInput = {
    object: 'mmengine.logging.history_buffer HistoryBuffer',
    state: dict({ n: 1 }),
  };
  const scalar: PickleInput = { call: 'numpy.core.multiarray scalar', args: ['f8', 'x'] };
  const mmpretrain = dict({
    meta: dict({ epoch: 300, dataset_meta: dict({ classes: { tuple: ['tench', 'goldfish'] } }) }),
    state_dict: dict({ 'backbone.w': w(0) }),
    ema_state_dict: dict({ steps: w(1), 'module.backbone.w': w(2) }),
    message_hub: dict({ log_scalars: dict({ loss: history, best: scalar }) }),
    args: { object: 'argparse Namespace', state: dict({ lr: 0.1 }) },
  });
  const checkpoint = await open(torchZip(mmpretrain, { 0: four }));
  assert.deepEqual(await valuesOf(torchZip(mmpretrain, { 0: four })), { 'backbone.w': [1] });
  assert.equal(checkpoint.extra.weightsAt, 'state_dict');
  assert.deepEqual(checkpoint.metadata, {
    'meta.epoch': '300',
    'meta.dataset_meta.classes': '["tench","goldfish"]',
  });
  assert.equal(checkpoint.extra.others.get('message_hub'), 'dict of 1');
  assert.equal(checkpoint.extra.others.get('args'), 'argparse.Namespace object');

  const timm = dict({ epoch: 3, state_dict: dict({ w: w(0) }), state_dict_ema: dict({ w: w(1) }) });
  assert.deepEqual(await valuesOf(torchZip(timm, { 0: four })), { w: [2] });
  const averaged = dict({ n_averaged: w(0), 'module.a': w(1), 'module.b': w(2) });
  const nested = torchZip(dict({ model: dict({ state_dict: averaged }) }), { 0: four });
  assert.deepEqual(await valuesOf(nested), { a: [2], b: [3] });
  assert.deepEqual((await open(nested)).extra.weightsAt, 'model.state_dict');
  const mixed = torchZip(dict({ 'module.a': w(1), b: w(2) }), { 0: four });
  assert.deepEqual(await valuesOf(mixed), { 'module.a': [2], b: [3] });
});

test('a long history beside the weights is one thing', async () => {
  const w = pickle(tensorInput({ key: '0', shape: [4] })).subarray(2, -1);
  const losses = joinBytes('](', 'N'.repeat(1_100_000), 'e');
  const file = torchZip(joinBytes([0x80, 2], '}(Vw\n', w, 'Vlosses\n', losses, 'u.'), { 0: four });
  const checkpoint = await open(file, { checksums: 'ignore' });
  assert.deepEqual([...checkpoint.extra.others], [['losses', 'list of 1100000']]);
});

test('a __proto__ key is a name like any other', async () => {
  const root = dict({
    meta: dict({ x: 'y' }),
    state_dict: new Map([['__proto__', tensorInput({ key: '0', shape: [4] })]]),
  });
  const checkpoint = await open(
    torchZip(new Map([...(root as Map<string, PickleInput>), ['__proto__', 'z']]), { 0: four }),
  );
  assert.deepEqual([...checkpoint.tensors.keys()], ['__proto__']);
  assert.equal(Object.getOwnPropertyDescriptor(checkpoint.metadata, '__proto__')?.value, 'z');
});

test('what the pickle says must fit the storages', async () => {
  const one = (fixture: Parameters<typeof tensorInput>[0], bytes = four) =>
    torchZip(dict({ w: tensorInput(fixture) }), { 0: bytes });
  await refused(one({ key: '0', shape: [5], elements: 4 }), /reaches element 5, but storage "0" has 4/);
  await refused(one({ key: '0', shape: [2], offset: 3, elements: 4 }), /reaches element 5/);
  await refused(one({ key: '0', shape: [2, 2], stride: [3, 1], elements: 4 }), /reaches element 5/);
  await refused(one({ key: '0', shape: [5] }), /needs 20 bytes .* has 16/);
  await refused(one({ key: '1', shape: [4] }), /is missing/);
  await refused(one({ key: '0', shape: [-1], elements: 4 }), /whole numbers/);
  await refused(one({ key: '0', shape: [2], stride: [-1], elements: 4 }), /whole numbers/);
  await refused(one({ key: '0', shape: [2], stride: [], elements: 4 }), /whole numbers/);
  await refused(one({ key: '0', shape: [4], offset: -1, elements: 4 }), /whole numbers/);
  await refused(one({ key: '0', shape: [2 ** 40, 2 ** 40], stride: [0, 0], elements: 4 }), /reaches element/);
  await refused(one({ key: '0', shape: [2 ** 30], stride: [0], elements: 4 }), /expanded view/);
  await refused(one({ key: '0', shape: [4], elements: -4 }), /cannot have -4 elements/);
  await refused(one({ key: '0', shape: [4], elements: 2 ** 50 }), /cannot have|needs/);
  await refused(one({ key: '0', shape: [4], storage: 'torch StringStorage' }), /unknown class/);
  await refused(torchZip({ persistent: ['module', 'x'] }, {}), /where a storage was expected/);
});

test('files that hold no state dict say so', async () => {
  await refused(
    torchZip({ object: 'ultralytics.nn.tasks Model', state: dict({}) }, {}),
    /pickled ultralytics/,
  );
  await refused(
    torchZip(dict({ epoch: 1, model: { object: 'a.b Net', state: null } }), {}),
    /a\.b\.Net object at "model"/,
  );
  await refused(torchZip(7, {}), /holds 7/);
  await refused(torchZip('text', {}), /holds "text"/);
  assert.equal((await open(torchZip(dict({}), {}))).tensors.size, 0);
  await refused(
    torchZip(
      dict({
        'a.b': tensorInput({ key: '0', shape: [4] }),
        a: dict({ b: tensorInput({ key: '0', shape: [4] }) }),
      }),
      { 0: four },
    ),
    /two tensors are named "a\.b"/,
  );
  await refused(
    zip([
      { name: 'a/data.pkl', bytes: pickle(1) },
      { name: 'b/data.pkl', bytes: pickle(1) },
    ]),
    /has 2/,
  );
  await refused(
    zip([
      { name: 'a/data.pkl', bytes: pickle(1) },
      { name: 'a/constants.pkl', bytes: pickle(1) },
    ]),
    /TorchScript/,
  );
});

test('bombs are refused before they grow', async () => {
  // Each level holds the one below twice: 2^40 paths in 40 levels, or 2^25 without passing the depth limit.
  const laughs = (levels: number) => {
    const parts: (Uint8Array | string | number[])[] = [
      [0x80, 2],
      pickle(tensorInput({ key: '0', shape: [4] })).subarray(2, -1),
      'q\x00',
    ];
    for (let level = 0; level < levels; level++)
      parts.push('}(Va\n', 'h', [level], 'Vb\n', 'h', [level], 'u', 'q', [level + 1]);
    return joinBytes(...parts, '.');
  };
  await refused(torchZip(laughs(40), { 0: four }), /nests deeper/);
  await refused(torchZip(laughs(25), { 0: four }), /nests deeper than 32 or spreads/);
  assert.equal((await open(torchZip(laughs(5), { 0: four }))).tensors.size, 32);
  const selfContaining = joinBytes([0x80, 2], '}q\x00Va\nh\x00s.');
  await refused(torchZip(selfContaining, {}), /nests deeper/);

  const zeros = new Uint8Array(100_000);
  await refused(
    zip([{ name: 'a/data.pkl', bytes: zeros, deflate: true, claimedSize: 2 ** 31 }]),
    /cannot inflate/,
  );
  await refused(
    zip([{ name: 'a/data.pkl', bytes: zeros, deflate: true, claimedSize: 1000 }]),
    /more than the 1000/,
  );
  await refused(
    zip([{ name: 'a/data.pkl', bytes: zeros, deflate: true, claimedSize: 100_001 }]),
    /inflates to 100000/,
  );
  await refused(zip([{ name: 'a/data.pkl', bytes: zeros, claimedSize: 2 ** 31 }]), /is stored/);
});

test('legacy files: shared storages, parts of storages, and what is refused', async () => {
  const shared = dict({
    a: tensorInput({ key: '9', shape: [2], elements: 4 }),
    b: tensorInput({ key: '9', shape: [2], offset: 2, elements: 4 }),
  });
  const stored = { 9: { bytes: four, elements: 4 } };
  const file = torchLegacy(shared, stored);
  assert.deepEqual(await valuesOf(file), { a: [1, 2], b: [3, 4] });
  const part = (first: number, count: number): PickleInput => ({
    call: 'torch._utils _rebuild_tensor',
    args: [
      {
        persistent: [
          'storage',
          { global: 'torch FloatStorage' },
          '9',
          'cpu',
          4,
          { tuple: ['v', first, count] },
        ],
      },
      1,
      { tuple: [1] },
      { tuple: [1] },
    ],
  });
  assert.deepEqual(await valuesOf(torchLegacy(dict({ a: part(2, 2) }), stored)), { a: [4] });
  await refused(torchLegacy(dict({ a: part(3, 2) }), stored), /has no part/);
  await refused(torchLegacy(dict({ a: part(3, 1) }), stored), /reaches element 2/);
  await refused(torchLegacy(shared, stored, false), /big-endian/);
  await refused(torchLegacy(shared, { 9: { bytes: four, elements: 3 } }), /should have 4 elements, but 3/);
  await refused(torchLegacy(shared, { 8: { bytes: four, elements: 4 } }), /never used/);
  await refused(torchLegacy(shared, {}), /used but not in the file/);
  await refused(file.subarray(0, -1), /cut off/);
  await refused(pickle(12), /magic number, found 12/);
});

test('a legacy pickle longer than the first read', async () => {
  const root = dict({ w: tensorInput({ key: '0', shape: [4] }), note: 'x'.repeat(3 << 20) });
  assert.deepEqual(await valuesOf(torchLegacy(root, { 0: { bytes: four, elements: 4 } })), {
    w: [1, 2, 3, 4],
  });
});
