import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Machine } from '../../assembler/machine.ts';
import { at } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import { openNative } from './executable-memory.ts';
import { createNativeMachine, nativeSupport } from './executable-memory-machine.ts';

const support = await nativeSupport();
const skip = support.available ? false : support.reason;
const noMaps = existsSync('/proc/self/maps') ? false : 'no /proc/self/maps here';

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly access: string;
}

function mappings(): Mapping[] {
  return [...readFileSync('/proc/self/maps', 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) (\S+)/gm)].map(
    (match) => ({
      start: Number.parseInt(match[1] ?? '', 16),
      end: Number.parseInt(match[2] ?? '', 16),
      access: match[3] ?? '',
    }),
  );
}

const accessAt = (address: number): string | undefined =>
  mappings().find(({ start, end }) => address >= start && address < end)?.access;

/** Loads a kernel that doubles one vector, runs it, and gives everything back. */
function cycle(machine: Machine): { code: number; data: number; accessOfCode: string | undefined } {
  const builder = machine.builder();
  const kernel = builder.kernel('double', (a) => {
    const [from, vec] = [a.slot(1), a.newVec()];
    a.load(vec, at(from));
    a.binary('add', vec, vec, vec);
    a.store(at(from), vec);
  });
  const code = machine.load(builder);
  const data = machine.allocate(1 << 20);
  const view = data.view(0, data.bytes);
  const numbers = new Float32Array(view.buffer, view.byteOffset + 64, 16).fill(21);
  const slots = [code.entry(kernel), data.address + 64].map(BigInt);
  new BigInt64Array(view.buffer, view.byteOffset, 2).set(slots);
  code.call(kernel, data.address);
  assert.deepEqual([...numbers.subarray(0, 8)], Array(8).fill(42));
  const accessOfCode = noMaps ? undefined : accessAt(code.entry(kernel));
  code.dispose();
  data.free();
  code.dispose(); // again: nothing happens
  return { code: code.entry(kernel), data: data.address, accessOfCode };
}

test('code is executable and not writable, and goes when disposed', { skip: skip || noMaps }, () => {
  if (!support.available) return;
  const { code, accessOfCode } = cycle(createNativeMachine(support));
  assert.equal(accessOfCode, 'r-xp');
  assert.notEqual(accessAt(code), 'r-xp');
  assert.equal(accessAt(support.memory.invokeAddress), 'r-xp');
});

test('a hundred cycles of loading and disposing leave memory as it was', { skip: skip || noMaps }, () => {
  if (!support.available) return;
  const machine = createNativeMachine(support);
  for (let i = 0; i < 10; i++) cycle(machine);
  const executable = (): number => mappings().filter(({ access }) => access === 'r-xp').length;
  const before = { all: mappings().length, executable: executable() };
  for (let i = 0; i < 100; i++) cycle(machine);
  assert.equal(executable(), before.executable);
  assert.ok(mappings().length < before.all + 50, 'data memory was not given back');
});

test('without koffi there is a reason, not an error', async () => {
  const native = await openNative({
    environment: {},
    loadKoffi: () => Promise.reject(new Error("Cannot find package 'koffi'\nsecond line")),
  });
  if (process.arch !== 'x64') return assert.equal(native.available, false);
  assert.deepEqual(native, {
    available: false,
    reason: "the optional package koffi cannot be loaded: Cannot find package 'koffi'",
  });
});

test('MOBILEONE_NATIVE=0 turns native code off', async () => {
  const loadKoffi = (): never => assert.fail('koffi was loaded');
  const native = await nativeSupport({ environment: { MOBILEONE_NATIVE: '0' }, loadKoffi });
  assert.deepEqual(native, { available: false, reason: 'turned off by MOBILEONE_NATIVE=0' });
});

test('a system that refuses executable memory is a reason, not an error', { skip }, async () => {
  const koffi = await import('koffi');
  const refusing = new Proxy(koffi, {
    get(target, key, receiver) {
      if (key !== 'load') return Reflect.get(target, key, receiver);
      return (path: string | null) => {
        const library = target.load(path);
        const isProtect = (definition: string): boolean => /mprotect|VirtualProtect/.test(definition);
        return {
          func: (definition: string) =>
            isProtect(definition)
              ? () => (definition.includes('mprotect') ? -1 : 0)
              : library.func(definition),
        };
      };
    },
  });
  const native = await openNative({ environment: {}, loadKoffi: () => Promise.resolve(refusing) });
  assert.equal(native.available, false);
  assert.match(native.available ? '' : native.reason, /refused executable memory/);
});

test('memory beyond what the system has is an EngineError', { skip }, () => {
  if (!support.available) return;
  assert.throws(() => createNativeMachine(support).allocate(2 ** 50), EngineError);
});

test('the processor says what it is', { skip: skip || noMaps }, () => {
  if (!support.available) return;
  const { cpu } = support;
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const flags = new Set(/^flags\s*:(.*)$/m.exec(info)?.[1]?.split(' '));
  assert.equal(cpu.vendor, /^vendor_id\s*: (.*)$/m.exec(info)?.[1]);
  assert.match(cpu.brand, /^[\x20-\x7e]+$/); // a virtual machine's kernel may call it by another name
  assert.equal(cpu.avx2, flags.has('avx2') && flags.has('fma'));
  assert.equal(
    cpu.avx512,
    ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'].every((flag) => flags.has(flag)),
  );
  assert.equal(cpu.avx512Bf16, cpu.avx512 && flags.has('avx512_bf16'));
  assert.equal(cpu.amxPresent, cpu.avx512 && flags.has('amx_tile') && flags.has('amx_bf16'));
  assert.ok(cpu.caches.every(({ bytes }) => bytes >= 8192));
  const told = existsSync('/sys/devices/system/cpu/cpu0/cache/index0'); // virtual machines may hide their caches
  assert.equal(cpu.caches.length >= 2, told);
});
