import type { KernelGenerator } from '../../assembler/vector-assembler.ts';

/**
 * What a kernel module makes of one task (an op with its fused epilogue, on constant shapes): emitted code, the
 * tiles it runs on, and how weights are packed. It knows no memory: operands are named buffers, and whoever runs
 * the plan (engine, test, benchmark) lays them out and turns tiles into tile records.
 */

/** Emitted code under a name that says everything its code depends on: equal names mean equal code. */
export interface KernelSpec {
  readonly name: string;
  readonly generate: KernelGenerator;
}

/** `inputN`, `output` and `output1`, `output2`, … are the task's tensors, `constantN` its packed constants, `scratch` private memory. */
export type BufferName = 'output' | `output${number}` | 'scratch' | `input${number}` | `constant${number}`;

export function outputName(index: number): BufferName {
  return index === 0 ? 'output' : `output${index}`;
}

/** A place in a buffer. */
export interface BufferPlace {
  readonly buffer: BufferName;
  /** Bytes. */
  readonly offset: number;
}

/** So many bytes behind a place. */
export function further({ buffer, offset }: BufferPlace, bytes: number): BufferPlace {
  return { buffer, offset: offset + bytes };
}

/** One 8-byte slot of a tile record: the address of a place, or an integer. */
export type Slot = BufferPlace | number;

/** One call of a kernel. `slots` are the record's slots 1, 2, …; slot 0 is the kernel itself. */
export interface KernelCall {
  readonly kernel: KernelSpec;
  readonly slots: readonly Slot[];
}

/** Work that one thread does in one go. */
export interface Tile extends KernelCall {
  /** What the same thread calls next, in order. */
  readonly next?: readonly KernelCall[];
}

/** All calls of a tile, in order. */
export function callsOf(tile: Tile): readonly KernelCall[] {
  return tile.next === undefined ? [tile] : [tile, ...tile.next];
}

const nothing: KernelCall = { kernel: { name: 'nothing', generate: () => {} }, slots: [] };

/** The calls of a step's tiles, as many for each: shorter ones end with calls that do nothing. */
export function evenCalls(step: TileStep): {
  readonly perTile: number;
  readonly calls: readonly KernelCall[];
} {
  const perTile = step.reduce((most, { next }) => Math.max(most, 1 + (next?.length ?? 0)), 1);
  if (perTile === 1) return { perTile, calls: step };
  const calls = step.flatMap((tile) => {
    const own = callsOf(tile);
    return [...own, ...Array.from({ length: perTile - own.length }, () => nothing)];
  });
  return { perTile, calls };
}

/** Tiles that may run in any order and at the same time; a step begins when the one before has ended. */
export type TileStep = readonly Tile[];

/** Weights that are packed into their place, once it is known: they are large, and a copy of them costs time. */
export interface PackedLater {
  readonly length: number;
  /** @param zeros `length` bytes from a multiple of 64 on */
  readonly write: (zeros: Uint8Array) => void;
}

export type Constant = Uint8Array | PackedLater;

/** @param zeros as many bytes as the constant has */
export function writeConstant(constant: Constant, zeros: Uint8Array): void {
  if (constant instanceof Uint8Array) zeros.set(constant);
  else constant.write(zeros);
}

/**
 * @param inputs @param outputs the task's tensors, as they lie in memory
 * @returns `end` where the run ends here
 */
export type HostWork = (
  inputs: readonly Float32Array[],
  outputs: readonly Float32Array[],
) => 'end' | undefined;

export interface TaskPlan {
  /** Packed weights, biases and tables; each is laid out at a multiple of 64 bytes. */
  readonly constants: readonly Constant[];
  readonly scratchBytes: number;
  readonly steps: readonly TileStep[];
  /** Work in JavaScript after the steps, on the thread that runs: for what branches more than it computes. */
  readonly host?: HostWork;
  /** Kernel-independent arithmetic, for shares of the machine's peak. */
  readonly flops: number;
}
