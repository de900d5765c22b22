import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinBytes, little } from '../../../test/support/checkpoint-fixtures.ts';
import { FormatError } from '../../errors.ts';
import { readPickle } from './pickle.ts';
import { pickleCursor } from './pickle-cursor.ts';
import { isNode, type PickleValue } from './pickle-value.ts';
import { torchHooks } from './torch-pickle.ts';

const hooks = torchHooks(() => {
  throw new FormatError('no storages here.');
});

function read(bytes: Uint8Array): PickleValue {
  return readPickle(pickleCursor(bytes), hooks);
}

/** Lists and tuples as arrays, dicts as maps. */
function plain(value: PickleValue): unknown {
  if (!isNode(value)) return value;
  if (value.kind === 'list' || value.kind === 'tuple') return value.items.map(plain);
  if (value.kind !== 'dict') return value;
  return new Map([...value.entries].map(([key, item]) => [plain(key), plain(item)]));
}

// pickle.dumps(o, protocol) by CPython 3.11 of
// o = {'a': [1, -2, 300, 70000, 2**40, -2**40, 2**70, -1.5, float('inf'), True, False, None],
//      't': ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 'grüße\n😀': 'x\\y', 'again': o['t'],
//      'o': OrderedDict([('k', 1)]), 7: 'int key'}
const byProtocol = [
  '286470300a56610a70310a286c70320a49310a61492d320a61493330300a614937303030300a614c313039393531313632373737364c0a614c2d313039393531313632373737364c0a614c313138303539313632303731373431313330333432344c0a61462d312e350a6146696e660a614930310a614930300a614e617356740a70330a2828742849310a7470340a2849310a49320a7470350a2849310a49320a49330a7470360a2849310a49320a49330a49340a7470370a7470380a73566772fcdf655c75303030615c5530303031663630300a70390a56785c7530303563790a7031300a7356616761696e0a7031310a67380a73566f0a7031320a63636f6c6c656374696f6e730a4f726465726564446963740a7031330a2874527031340a566b0a7031350a49310a737349370a56696e74206b65790a7031360a732e',
  '7d71002858010000006171015d7102284b014afeffffff4d2c014a701101004c313039393531313632373737364c0a4c2d313039393531313632373737364c0a4c313138303539313632303731373431313330333432344c0a47bff8000000000000477ff00000000000004930310a4930300a4e6558010000007471032829284b01747104284b014b02747105284b014b024b03747106284b014b024b034b04747107747108580c0000006772c3bcc39f650af09f988071095803000000785c79710a5805000000616761696e710b680858010000006f710c63636f6c6c656374696f6e730a4f726465726564446963740a710d2952710e58010000006b710f4b01734b075807000000696e74206b65797110752e',
  '80027d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a060000000000018a060000000000ff8a0900000000000000004047bff8000000000000477ff000000000000088894e65580100000074710328294b018571044b014b028671054b014b024b03877106284b014b024b034b04747107747108580c0000006772c3bcc39f650af09f988071095803000000785c79710a5805000000616761696e710b680858010000006f710c63636f6c6c656374696f6e730a4f726465726564446963740a710d2952710e58010000006b710f4b01734b075807000000696e74206b65797110752e',
  '80037d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a060000000000018a060000000000ff8a0900000000000000004047bff8000000000000477ff000000000000088894e65580100000074710328294b018571044b014b028671054b014b024b03877106284b014b024b034b04747107747108580c0000006772c3bcc39f650af09f988071095803000000785c79710a5805000000616761696e710b680858010000006f710c63636f6c6c656374696f6e730a4f726465726564446963740a710d2952710e58010000006b710f4b01734b075807000000696e74206b65797110752e',
  '800495c8000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a060000000000ff8a0900000000000000004047bff8000000000000477ff000000000000088894e658c01749428294b0185944b014b0286944b014b024b038794284b014b024b034b04749474948c0c6772c3bcc39f650af09f9880948c03785c79948c05616761696e9468088c016f948c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c016b944b01734b078c07696e74206b657994752e',
  '800595c8000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a060000000000018a060000000000ff8a0900000000000000004047bff8000000000000477ff000000000000088894e658c01749428294b0185944b014b0286944b014b024b038794284b014b024b034b04749474948c0c6772c3bcc39f650af09f9880948c03785c79948c05616761696e9468088c016f948c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c016b944b01734b078c07696e74206b657994752e',
];
const tuples = [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]];
const expected = new Map<unknown, unknown>([
  [
    'a',
    [1, -2, 300, 70000, 2 ** 40, -(2 ** 40), 2n ** 70n, -1.5, Number.POSITIVE_INFINITY, true, false, null],
  ],
  ['t', tuples],
  ['grüße\n😀', 'x\\y'],
  ['again', tuples],
  ['o', new Map([['k', 1]])],
  [7, 'int key'],
]);

test('protocols 0 to 5 as CPython writes them, cut and changed', () => {
  for (const hex of byProtocol) {
    const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
    assert.deepEqual(plain(read(bytes)), expected);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => read(bytes.subarray(0, length)), FormatError);
    }
    for (let i = 0; i < bytes.length; i++) {
      for (const flip of [1, 0x20, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[i] = (changed[i] ?? 0) ^ flip;
        onlyFormatErrors(() => read(changed));
      }
    }
  }
});

function onlyFormatErrors(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}

test('bytes and sets of protocol 5', () => {
  // {'b': b'\x00\xff', 'ba': bytearray(b'\x01\x02'), 's': {3}, 'f': frozenset([4])}
  const hex =
    '80059532000000000000007d94288c016294430200ff948c026261949602000000000000000102948c0173948f94284b03908c016694284b049194752e';
  const value = plain(read(Uint8Array.from(Buffer.from(hex, 'hex'))));
  assert.ok(value instanceof Map);
  assert.deepEqual([...(value.get('b') as Uint8Array)], [0, 255]);
  assert.deepEqual([...(value.get('ba') as Uint8Array)], [1, 2]);
  assert.deepEqual([value.get('s'), value.get('f')], [[3], [4]]);
});

test('instructions that only old or odd writers use', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ["S'a\\x41\\n\\''\n.", "aA\n'"],
    ['U\x02hi.', 'hi'],
    ['T\x02\x00\x00\x00hi.', 'hi'],
    ['(dV1\nI5\ns.', new Map([['1', 5]])],
    ['(I1\nI2\nl.', [1, 2]],
    ['(I1\n1(I2\nt.', [2]],
    ['I1\nI2\n0.', 1],
    ['I1\n2\x86.', [1, 1]],
    ['Fnan\n.', Number.NaN],
    ['F1e-07\n.', 1e-7],
    ['I7\nr\x00\x01\x00\x000j\x00\x01\x00\x00.', 7],
    ['(ccollections\nOrderedDict\no.', new Map()],
    ['(icollections\nOrderedDict\n.', new Map()],
    ['ccollections\nOrderedDict\n(lV1\nI2\n\x86a\x85R.', new Map([['1', 2]])],
  ];
  for (const [text, value] of cases) {
    // TextEncoder would write bytes above 127 as two.
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    assert.deepEqual(plain(read(bytes)), value, text);
  }
});

test('damaged and hostile pickles are refused', () => {
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [joinBytes('.'), /not there/],
    [joinBytes('(.'), /not there/],
    [joinBytes('0.'), /not there/],
    [joinBytes('t.'), /no mark/],
    [joinBytes('h\x05.'), /memo 5/],
    [joinBytes('p-1\n.'), /memo -1/],
    [joinBytes('NNs.'), /not there/],
    [joinBytes('NNNs.'), /sets items of None/],
    [joinBytes('}(Nu.'), /without a value/],
    [joinBytes('NNa.'), /appends to None/],
    [joinBytes('NNR.'), /calls with None/],
    [joinBytes('N)R.'), /calls None/],
    [joinBytes([0x80, 6], 'N.'), /protocol 6/],
    [joinBytes([0x82, 1], '.'), /extension/],
    [joinBytes([0x97], '.'), /out-of-band/],
    [joinBytes([0xff]), /unknown instruction 0xff/],
    [joinBytes('X', little(0xffffffff, 4), 'a'), /pickle ends/],
    [joinBytes([0x8d], little(2n ** 63n, 8), 'a'), /pickle ends/],
    [joinBytes('T', little(0xffffffff, 4), 'a'), /pickle ends/],
    [joinBytes([0x8b], little(5000, 4), new Uint8Array(5000), '.'), /5000 bytes/],
    [joinBytes('I1.5\n.'), /no integer/],
    [joinBytes('Fx\n.'), /number/],
    [joinBytes('Sx\n.'), /quoted/],
    [joinBytes('X', little(1, 4), [0xff], '.'), /UTF-8/],
    [joinBytes('Va\n', [0x93], '.'), /not there/],
    [joinBytes('NN', [0x93], '.'), /no text/],
    [joinBytes('cos\nsystem\n.'), /os\.system, which is code/],
    [joinBytes('c__builtin__\neval\n.'), /eval, which is code/],
    [joinBytes('cbuiltins\nexec\n.'), /exec, which is code/],
    [joinBytes('cposix\nsystem\n.'), /which is code/],
    [joinBytes('(ios\npopen\n.'), /which is code/],
    [joinBytes('Vsubprocess\nVPopen\n', [0x93], '.'), /which is code/],
    [joinBytes('ctorch.storage\n_load_from_bytes\n.'), /which is code/],
    [joinBytes('cnumpy.testing._private.utils\nrunstring\n.'), /which is code/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => read(bytes),
      (error) => error instanceof FormatError && message.test(error.message),
      Buffer.from(bytes).toString('latin1').slice(0, 40),
    );
  }
});

test('classes without meaning become objects without content', () => {
  // copyreg-style construction, state, items and appended values: all dropped, nothing looked up.
  const parts = ['cmmengine.logging.history_buffer\nHistoryBuffer\n)', [0x81], '}Va\nI1\nsbVk\nI1\nsI2\na.'];
  assert.deepEqual(read(joinBytes(...parts)), {
    kind: 'object',
    className: 'mmengine.logging.history_buffer.HistoryBuffer',
  });
  const method = 'c__builtin__\ngetattr\n(cmmengine.logging.history_buffer\nHistoryBuffer\nVmin\ntR.';
  assert.deepEqual(read(joinBytes(method)), { kind: 'object', className: '__builtin__.getattr' });
});
