import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sampleWeights } from '../../test/support/sample-weights.ts';
import { golden, skipWithout } from '../../test/support/shared.ts';
import { contentFault } from './content-check.ts';

const check = (bytes: Uint8Array) =>
  contentFault({ size: bytes.length, read: async (offset, length) => bytes.slice(offset, offset + length) });
const text = (value: string) => check(new TextEncoder().encode(value));
const endOfZip = `PK\x05\x06${'\0'.repeat(18)}`;

test('zip archives, pickles and safetensors pass', async () => {
  assert.equal(await text(`PK\x03\x04${'x'.repeat(50)}${endOfZip}`), undefined);
  assert.equal(await text(`PK\x03\x04${endOfZip}${'comment'.repeat(9000)}`), undefined);
  assert.equal(await check(sampleWeights(10)), undefined);
  for (const protocol of [2, 3, 4, 5])
    assert.equal(await check(Uint8Array.of(0x80, protocol, 0x2e)), undefined);
});

test('everything else is named', async () => {
  const cases: readonly [string, RegExp][] = [
    ['', /empty/],
    ['\ufeff  \n<!doctype html>', /HTML/],
    ['<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /HTML or XML/],
    [' {"error":"x"}', /JSON text.*"error"/],
    ['["x"]', /JSON/],
    ['version https://git-lfs.github.com/spec/v1', /LFS/],
    [`${'x'.repeat(257)}ustar`, /tar archive/],
    [`PK\x03\x04${endOfZip.slice(0, 21)}`, /cut off/],
    ['PK\x03\x04', /cut off/],
    ['\x1f\x8b\x08', /starts with 1f/],
    ['x', /starts with 78/],
  ];
  for (const [value, fault] of cases) assert.match((await text(value)) ?? '', fault, value.slice(0, 20));
  assert.match((await check(Uint8Array.of(0x80, 1, 0x2e))) ?? '', /starts with 80 01/);
});

test('safetensors cut anywhere inside the header is refused', async () => {
  const whole = sampleWeights(4);
  const header = whole.length - 4;
  for (let length = 0; length < header; length++) {
    assert.notEqual(await check(whole.subarray(0, length)), undefined, `${length} bytes`);
  }
  const huge = whole.slice();
  huge.fill(0xff, 0, 8);
  assert.match((await check(huge)) ?? '', /18446744073709551615 bytes/);
});

test('real files of other writers pass', {
  skip: skipWithout('data', 'weights-torch', 'torch-2.13'),
}, async () => {
  const folder = golden('data', 'weights-torch', 'torch-2.13');
  const files = readdirSync(folder).filter((name) => /\.(pt|pth|tar|bin)$/.test(name));
  assert.ok(files.length > 0);
  for (const name of files) assert.equal(await check(readFileSync(join(folder, name))), undefined, name);
});
