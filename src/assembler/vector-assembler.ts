/**
 * The small instruction set in which kernels are written once, for f32 vectors of `lanes` numbers.
 *
 * A kernel is a function of one pointer to a tile record: an array of 8-byte slots that hold addresses (absolute
 * ones natively, offsets into linear memory in WebAssembly) and integers. Slot 0 is the kernel itself, so that a
 * runner can walk records and call them; the engine stores tables of such records.
 *
 * Registers are explicit: `Int` and `Vec` ids are physical registers on x64 and locals in WebAssembly. Whoever
 * takes one frees it. Where an instruction needs a scratch register it borrows a free one while it lasts; running
 * out of either kind is an EngineError while the code is generated, never a fault while it runs.
 */
import { EngineError } from '../errors.ts';
import type { Brand } from '../tensor/brand.ts';

/** An integer or a pointer: 64 bits natively, 32 in WebAssembly. Opaque; constants are plain numbers. */
export interface Int {
  readonly kind: 'int';
  readonly register: number;
}
/** A vector of `lanes` f32, or of 2·lanes bf16 for `dotBf16`. */
export type Vec = Brand<number, 'Vec'>;

/** Memory at base + index·scale + offset. As an operand it is a whole vector, or one f32 given to all lanes. */
export interface Address {
  readonly base: Int;
  /** Constant bytes, 0 … 2³¹−1. */
  readonly offset: number;
  readonly index: Int | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly broadcast: boolean;
}

export function at(base: Int, offset = 0): Address {
  return { base, offset: checkOffset(offset), index: undefined, scale: 1, broadcast: false };
}

export function atIndex(base: Int, index: Int, scale: 1 | 2 | 4 | 8 = 1, offset = 0): Address {
  return { base, offset: checkOffset(offset), index, scale, broadcast: false };
}

/** The f32 at an address in every lane; one instruction on AVX-512, a broadcast into a scratch on AVX2. */
export function broadcastAt(base: Int, offset = 0): Address {
  return { base, offset: checkOffset(offset), index: undefined, scale: 1, broadcast: true };
}

function checkOffset(offset: number): number {
  if (Number.isInteger(offset) && offset >= 0 && offset < 2 ** 31) return offset;
  throw new EngineError(`assembler: expected a constant offset of 0 … 2³¹−1 bytes, found ${offset}`, {
    offset,
  });
}

export type Operand = Vec | Address;

/**
 * What the machine has beyond the common set.
 * - fma: `fma` rounds once and costs one instruction (elsewhere it is a product and a sum)
 * - embeddedBroadcast: a broadcast operand needs no scratch and no instruction of its own
 * - bf16Convert: `storeBf16` is one conversion, not integer arithmetic
 * - bf16Dot: `dotBf16` may be used, and `pairs` is there
 * - tiles: `tiles` is there
 */
export type Feature = 'fma' | 'embeddedBroadcast' | 'bf16Convert' | 'bf16Dot' | 'tiles';

export type TargetName = 'avx512' | 'avx2' | 'wasm' | 'wasm-relaxed';

export interface VectorTarget {
  readonly name: TargetName;
  /** f32 in a vector: 16, 8 or 4. */
  readonly lanes: number;
  /** Vectors a generator may hold at once: 32, 16 or 16. */
  readonly vectorRegisters: number;
  /** Integers a generator may hold at once, loop counters included. */
  readonly intRegisters: number;
  readonly pointerBytes: 4 | 8;
  readonly features: ReadonlySet<Feature>;
}

/**
 * - add, subtract, multiply, divide: IEEE
 * - maximum: a > b ? a : b, minimum: a < b ? a : b; so b where either is NaN
 */
export type BinaryOp = 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'minimum';

/** round: to the nearest integer, ties to even; the result stays f32. */
export type UnaryOp = 'absolute' | 'negate' | 'squareRoot' | 'round';

/** False where either side is NaN. */
export type Comparison = 'greater' | 'greaterOrEqual' | 'equal';

export type LaneReduction = 'add' | 'maximum';

export interface IntInstructions {
  /** Address of the tile record; read only, never freed. */
  readonly record: Int;
  /** A fresh integer whose value is undefined. */
  newInt(): Int;
  /** A fresh integer from a slot of the tile record. */
  slot(index: number): Int;
  /** A fresh integer that holds a constant. */
  int(value: number): Int;
  freeInt(...ints: readonly Int[]): void;
  moveInt(target: Int, source: Int | number): void;
  addInt(target: Int, source: Int | number): void;
  subtractInt(target: Int, source: Int | number): void;
  multiplyInt(target: Int, factor: number): void;
  /** A pointer from an 8-byte slot in memory. */
  loadPointer(target: Int, address: Address): void;
  /** A signed 32-bit integer from memory. */
  loadI32(target: Int, address: Address): void;
}

export interface ControlInstructions {
  /** Runs the body a number of times, none when it is 0. An Int is read once and kept; counting takes an Int. */
  loop(times: number | Int, body: () => void): void;
  /** The body must bring the integer to zero. */
  whileNonZero(value: Int, body: () => void): void;
  ifNonZero(value: Int, then: () => void, otherwise?: () => void): void;
  /** Signed. */
  ifLess(left: Int, right: Int | number, then: () => void, otherwise?: () => void): void;
}

/** `count` (default all) is how many first lanes are meant; nothing beyond them is read, written or faulted on. */
export interface MemoryInstructions {
  /** Lanes from `count` on become 0. */
  load(target: Vec, address: Address, count?: number): void;
  store(address: Address, source: Vec, count?: number): void;
  /**
   * A whole vector past the caches where the machine can, for memory that is written once and read much later: it
   * need not be fetched first. The address is a multiple of the vector's bytes. Other threads see it when the kernel
   * has ended.
   */
  storePast(address: Address, source: Vec): void;
  /** One f32 into every lane: worth its own register when several instructions use it. */
  broadcast(target: Vec, address: Address): void;
  /** bf16 numbers widened to f32. */
  loadBf16(target: Vec, address: Address, count?: number): void;
  /** f32 rounded to bf16, nearest even, NaN stays NaN. Where bf16Convert is present denormals become 0. */
  storeBf16(address: Address, source: Vec, count?: number): void;
  /** Two vectors one after the other, as `storeBf16` would. */
  storeBf16Pair(address: Address, low: Vec, high: Vec): void;
  broadcastBf16(target: Vec, address: Address): void;
  /** A hint that a line will be read soon, or that it should wait in the second cache; never faults. */
  prefetch(address: Address, into?: 'second'): void;
}

export interface ArithmeticInstructions {
  newVec(): Vec;
  freeVec(...vecs: readonly Vec[]): void;
  zero(target: Vec): void;
  move(target: Vec, source: Vec): void;
  /** The same f32 in every lane. */
  constant(target: Vec, value: number): void;
  /** target = left op right. */
  binary(op: BinaryOp, target: Vec, left: Vec, right: Operand): void;
  unary(op: UnaryOp, target: Vec, source: Vec): void;
  /** sum += left · right. */
  fma(sum: Vec, left: Vec, right: Operand): void;
  /** target = left comparison right ? whenTrue : whenFalse, lane by lane. */
  select(comparison: Comparison, target: Vec, left: Vec, right: Vec, whenTrue: Vec, whenFalse: Vec): void;
  /** target = source · 2^exponent, for exponents that are integers in −126 … 127 (held as f32). */
  scaleByPowerOfTwo(target: Vec, source: Vec, exponent: Vec): void;
  /** The sum or maximum of all lanes, in every lane. Maximum ignores or passes NaN as the target likes. */
  reduceLanes(op: LaneReduction, target: Vec, source: Vec): void;
  /** sum[i] += a[2i]·b[2i] + a[2i+1]·b[2i+1], on pairs of bf16; only with the feature bf16Dot. */
  dotBf16(sum: Vec, left: Vec, right: Operand): void;
}

/** One of the 8 tile registers. */
export type Tile = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

export interface TileShape {
  /** 1 … 16 */
  readonly rows: number;
  /** 4 … 64, a multiple of 4 */
  readonly rowBytes: number;
}

/** AMX: matrices of up to 16 rows × 64 bytes. A kernel configures first and releases last. */
export interface TileInstructions {
  /** Shapes of tiles 0, 1, …; those not named may not be used. */
  configure(shapes: readonly TileShape[]): void;
  release(): void;
  zero(tile: Tile): void;
  /** Row r is read at base + offset + r·rowStride (bytes). */
  load(tile: Tile, base: Int, rowStride: Int, offset?: number): void;
  store(tile: Tile, base: Int, rowStride: Int, offset?: number): void;
  /** sum[m][n] += Σ a[m][2k]·b[k][2n] + a[m][2k+1]·b[k][2n+1]; a and b hold bf16 pairs, sum f32. */
  dotBf16(sum: Tile, a: Tile, b: Tile): void;
}

/** What lays the factors of matrix products out as pairs of bf16: 32-bit words that hold two neighbours of a sum. */
export interface PairInstructions {
  /** target = (even[0], odd[0]), (even[1], odd[1]), … rounded to bf16, as `storeBf16` would. */
  interleave(target: Vec, even: Vec, odd: Vec): void;
  /** target = (low[0], low[1]), …, (high[0], high[1]), … rounded to bf16, as `storeBf16Pair` would. */
  join(target: Vec, low: Vec, high: Vec): void;
  /** As many vectors as there are lanes: word j of vector i becomes word i of vector j. */
  transpose(vectors: readonly Vec[]): void;
}

export interface VectorAssembler
  extends IntInstructions,
    ControlInstructions,
    MemoryInstructions,
    ArithmeticInstructions {
  readonly target: VectorTarget;
  readonly lanes: number;
  has(feature: Feature): boolean;
  readonly tiles: TileInstructions | undefined;
  /** There with the feature bf16Dot. */
  readonly pairs: PairInstructions | undefined;
}

export type KernelGenerator = (assembler: VectorAssembler) => void;
