/** General registers by their number in encodings. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;
export const R12 = 12;
export const R13 = 13;
export const R14 = 14;
export const R15 = 15;

/** How functions are called: System V (Linux, macOS, BSD) or Windows x64. */
export interface CallingConvention {
  readonly name: 'sysv' | 'windows';
  readonly arguments: readonly number[];
  /** General registers a function may change, then those it must restore; without the stack pointer. */
  readonly volatile: readonly number[];
  readonly preserved: readonly number[];
  /** Vector registers whose low 128 bits a function must restore. */
  readonly preservedVectors: readonly number[];
  /** Bytes a caller leaves above the return address. */
  readonly shadowBytes: number;
}

export const systemV: CallingConvention = {
  name: 'sysv',
  arguments: [RDI, RSI, RDX, RCX],
  volatile: [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11],
  preserved: [RBX, RBP, R12, R13, R14, R15],
  preservedVectors: [],
  shadowBytes: 0,
};

export const windows: CallingConvention = {
  name: 'windows',
  arguments: [RCX, RDX, R8, R9],
  volatile: [RAX, RCX, RDX, R8, R9, R10, R11],
  preserved: [RBX, RBP, RSI, RDI, R12, R13, R14, R15],
  preservedVectors: [6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  shadowBytes: 32,
};
