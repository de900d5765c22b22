/** Small functions in machine code that are not kernels: calling by address, cpuid, asking for AMX. */
import { CONDITION, Encoder } from './encoder.ts';
import { memory } from './operand.ts';
import { type CallingConvention, R8, R9, RAX, RBX, RCX, RDI, RDX, RSI } from './registers.ts';

/** invoke(function, a, b): calls a function of two arguments by its address. */
export function emitInvoke({ arguments: args }: CallingConvention): Uint8Array {
  const [first = RDI, second = RSI, third = RDX] = args;
  const e = new Encoder();
  e.move(RAX, first);
  e.move(first, second);
  e.move(second, third);
  e.instruction(0, 0xff, 4, RAX); // jmp rax
  return e.code.copy();
}

/** Leaf and subleaf of every cpuid answer that is read, in the order of the answers. */
export const cpuidLeaves = [
  [0, 0],
  [1, 0],
  [7, 0],
  [7, 1],
  [4, 0],
  [4, 1],
  [4, 2],
  [4, 3],
  [0x80000000, 0],
  [0x80000002, 0],
  [0x80000003, 0],
  [0x80000004, 0],
  [0x8000001d, 0],
  [0x8000001d, 1],
  [0x8000001d, 2],
  [0x8000001d, 3],
] as const;

/** Answers of 4 words (eax, ebx, ecx, edx), then XCR0 in one word (0 where the system does not use it). */
export const CPUID_BYTES = cpuidLeaves.length * 16 + 4;

/** cpuid(answers): writes CPUID_BYTES. */
export function emitCpuid({ arguments: args }: CallingConvention): Uint8Array {
  const e = new Encoder();
  e.push(RBX);
  e.move(R8, args[0] ?? RDI);
  for (const [i, [leaf, subleaf]] of cpuidLeaves.entries()) {
    e.constant(RAX, leaf);
    e.constant(RCX, subleaf);
    e.cpuid();
    if (leaf === 1) e.move(R9, RCX);
    for (const [word, register] of [RAX, RBX, RCX, RDX].entries())
      e.store32(memory(R8, i * 16 + word * 4), register);
  }
  e.constant(RAX, 0);
  e.shiftRight(R9, 27); // OSXSAVE is bit 27 of leaf 1's ecx
  e.arithmeticConstant('and', R9, 1);
  const without = e.jumpForward(CONDITION.zero);
  e.constant(RCX, 0);
  e.xgetbv();
  e.land(without);
  e.store32(memory(R8, cpuidLeaves.length * 16), RAX);
  e.pop(RBX);
  e.constant(RAX, 0);
  e.return();
  return e.code.copy();
}

const SYS_ARCH_PRCTL = 158;
const ARCH_REQ_XCOMP_PERM = 0x1023;
const XFEATURE_XTILEDATA = 18;

/** Asks Linux to let this process use tiles: 0, or a negative error. */
export function emitRequestTiles(): Uint8Array {
  const e = new Encoder();
  e.constant(RDI, ARCH_REQ_XCOMP_PERM);
  e.constant(RSI, XFEATURE_XTILEDATA);
  e.constant(RAX, SYS_ARCH_PRCTL);
  e.syscall();
  e.return();
  return e.code.copy();
}
