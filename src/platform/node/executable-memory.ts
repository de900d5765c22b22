/**
 * Memory from the system and functions in it, through koffi. Code is written first and made executable after:
 * no page is ever writable and executable at once. Without koffi, or where the system refuses, there is no
 * `SystemMemory`, only a reason.
 */

import { type CallingConvention, systemV, windows } from '../../assembler/x64/registers.ts';
import { emitInvoke } from '../../assembler/x64/system-code.ts';
import { EngineError } from '../../errors.ts';

export type Protection = 'none' | 'read-write' | 'read-execute';

/** What every operating system offers; sizes are whole pages. */
interface PageCalls {
  /** @returns 0 when refused */
  map(bytes: number): number;
  protect(address: number, bytes: number, protection: Protection): boolean;
  unmap(address: number, bytes: number): void;
}

export interface Pages {
  readonly address: number;
  readonly bytes: number;
  /** One view of all bytes; using it after `free` ends the process. */
  readonly buffer: ArrayBuffer;
  free(): void;
}

export interface ExecutablePages {
  readonly address: number;
  readonly bytes: number;
  free(): void;
}

export interface SystemMemory {
  readonly convention: CallingConvention;
  /** Zeroed memory that starts at a page. @throws EngineError when refused */
  allocate(bytes: number): Pages;
  /** As allocate, but the last byte lies just before a page that faults: for tests. */
  allocateGuarded(bytes: number): Pages;
  /** A copy of the code, executable and read-only. @throws EngineError when refused */
  execute(code: Uint8Array): ExecutablePages;
  /** Calls a function of up to two integer arguments by its address, on this thread. */
  invoke(address: number, a: number, b: number): number;
  /** Where `invoke`'s own code is, so that another thread need not map it again. */
  readonly invokeAddress: number;
}

export type Native =
  | { readonly available: true; readonly memory: SystemMemory }
  | { readonly available: false; readonly reason: string };

/** What is used of the package koffi, which need not be installed: nor need its types. */
export interface Koffi {
  load(path: string | null): { func(definition: string): ForeignFunction };
  view(address: number, bytes: number): ArrayBuffer;
  proto(definition: string): unknown;
  decode(address: number, prototype: unknown): (address: number, a: number, b: number) => number;
}
/** An integer comes back as a bigint where a number would not be exact. */
type ForeignFunction = (...values: readonly (number | Uint8Array | Uint32Array)[]) => number | bigint;

/** How koffi is found; tests replace it. */
export type LoadKoffi = () => Promise<Koffi>;

const PAGE = 4096;
/** Memory that holds whole large pages. */
const LARGE = 2 ** 22;
const wholePages = (bytes: number): number => Math.max(1, Math.ceil(bytes / PAGE)) * PAGE;
/** 0 for what is no address in user space, such as the −1 of a refusal. */
const toAddress = (value: number | bigint): number => (typeof value === 'number' ? value : 0);

function posixPages(koffi: Koffi): PageCalls {
  const libc = koffi.load(null);
  const mmap = libc.func(
    'uintptr_t mmap(uintptr_t address, size_t bytes, int protection, int flags, int file, int64_t offset)',
  );
  const mprotect = libc.func('int mprotect(uintptr_t address, size_t bytes, int protection)');
  const munmap = libc.func('int munmap(uintptr_t address, size_t bytes)');
  const codes = { none: 0, 'read-write': 3, 'read-execute': 5 } as const;
  const privateAnonymous = process.platform === 'darwin' ? 0x1002 : 0x22;
  const preferLargePages = largePages(libc);
  return {
    map: (bytes) => {
      const address = toAddress(mmap(0, bytes, codes['read-write'], privateAnonymous, -1, 0));
      if (address !== 0 && bytes >= LARGE) preferLargePages(address, bytes);
      return address;
    },
    protect: (address, bytes, protection) => mprotect(address, bytes, codes[protection]) === 0,
    unmap: (address, bytes) => void munmap(address, bytes),
  };
}

/**
 * Asks for pages of 2 MiB, which Linux gives by default only to those who ask: a few faults instead of thousands
 * while memory is first written, and fewer misses of the page tables later. A refusal changes nothing.
 */
function largePages(libc: ReturnType<Koffi['load']>): (address: number, bytes: number) => void {
  if (process.platform !== 'linux') return () => {};
  const madvise = libc.func('int madvise(uintptr_t address, size_t bytes, int advice)');
  const hugePages = 14;
  return (address, bytes) => void madvise(address, bytes, hugePages);
}

function windowsPages(koffi: Koffi): PageCalls {
  const kernel = koffi.load('kernel32.dll');
  const virtualAlloc = kernel.func(
    'uintptr_t VirtualAlloc(uintptr_t address, size_t bytes, uint32_t type, uint32_t protection)',
  );
  const virtualProtect = kernel.func(
    'int VirtualProtect(uintptr_t address, size_t bytes, uint32_t protection, uint32_t *old)',
  );
  const virtualFree = kernel.func('int VirtualFree(uintptr_t address, size_t bytes, uint32_t type)');
  const codes = { none: 0x01, 'read-write': 0x04, 'read-execute': 0x20 } as const;
  const commitAndReserve = 0x3000;
  const release = 0x8000;
  const old = new Uint32Array(1);
  return {
    map: (bytes) => toAddress(virtualAlloc(0, bytes, commitAndReserve, codes['read-write'])),
    protect: (address, bytes, protection) => virtualProtect(address, bytes, codes[protection], old) !== 0,
    unmap: (address) => void virtualFree(address, 0, release),
  };
}

function refused(what: string, bytes: number): EngineError {
  return new EngineError(
    `native code: the system refused ${what} (${bytes} bytes); set MOBILEONE_NATIVE=0 to run as WebAssembly`,
    { bytes },
  );
}

function systemMemory(koffi: Koffi, knownInvoke: number | undefined): SystemMemory {
  const onWindows = process.platform === 'win32';
  const convention = onWindows ? windows : systemV;
  const pages = onWindows ? windowsPages(koffi) : posixPages(koffi);

  const map = (bytes: number): number => {
    const address = pages.map(bytes);
    if (address === 0) throw refused('memory', bytes);
    return address;
  };
  const execute = (code: Uint8Array): ExecutablePages => {
    const bytes = wholePages(code.length);
    const address = map(bytes);
    new Uint8Array(koffi.view(address, bytes)).set(code);
    if (!pages.protect(address, bytes, 'read-execute')) {
      pages.unmap(address, bytes);
      throw refused('executable memory', bytes);
    }
    return { address, bytes, free: once(() => pages.unmap(address, bytes)) };
  };
  const allocateGuarded = (bytes: number): Pages => {
    const whole = wholePages(bytes);
    const start = map(whole + PAGE);
    if (!pages.protect(start + whole, PAGE, 'none')) throw refused('a guard page', PAGE);
    const address = start + whole - bytes;
    const free = once(() => pages.unmap(start, whole + PAGE));
    return { address, bytes, buffer: koffi.view(address, bytes), free };
  };
  const allocate = (bytes: number): Pages => {
    const whole = wholePages(bytes);
    const address = map(whole);
    return {
      address,
      bytes,
      buffer: koffi.view(address, bytes),
      free: once(() => pages.unmap(address, whole)),
    };
  };
  const invokeAddress = knownInvoke ?? execute(emitInvoke(convention)).address;
  const prototype = koffi.proto('int64_t (uintptr_t function, uintptr_t a, uintptr_t b)');
  const invoke = koffi.decode(invokeAddress, prototype);
  return { convention, allocate, allocateGuarded, execute, invoke, invokeAddress };
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}

export interface NativeOptions {
  readonly loadKoffi?: LoadKoffi;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** From another thread of this process: its `invokeAddress`. */
  readonly invokeAddress?: number;
}

/** Can this process run emitted x86-64 code, and if not, why not? */
export async function openNative(options: NativeOptions = {}): Promise<Native> {
  const { loadKoffi = () => import('koffi'), environment = process.env } = options;
  const no = (reason: string): Native => ({ available: false, reason });
  if (environment.MOBILEONE_NATIVE === '0') return no('turned off by MOBILEONE_NATIVE=0');
  if (process.arch !== 'x64') return no(`native code is for x64 processors, this is ${process.arch}`);
  let koffi: Koffi;
  try {
    koffi = await loadKoffi();
  } catch (error) {
    return no(`the optional package koffi cannot be loaded: ${firstLine(error)}`);
  }
  try {
    return { available: true, memory: systemMemory(koffi, options.invokeAddress) };
  } catch (error) {
    return no(firstLine(error));
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
