/** What processors multiply bf16 with: AMX tiles, or dot products of vectors. */
import {
  at,
  broadcastAt,
  type Int,
  type Tile,
  type TileInstructions,
  type TileShape,
  type VectorAssembler,
} from '../../../assembler/vector-assembler.ts';
import { EngineError } from '../../../errors.ts';
import {
  type FinishRow,
  type PanelPlace,
  type ProductChunk,
  type ProductSpec,
  type ProductUnit,
  ROW_BYTES,
} from './bf16-product-kernel.ts';

const TILE_ROWS = 16;
const TILE_BYTES = TILE_ROWS * ROW_BYTES;

/** Tiles 0 … 3 are sums [rows][columns], 4 and 5 rows of input, 6 and 7 columns of weights. */
const sumTile = (row: number, column: number): Tile => (2 * row + column) as Tile;
const inputTile = (row: number): Tile => (4 + row) as Tile;
const weightTile = (column: number): Tile => (6 + column) as Tile;

/** A block's positions as one or two rows of tiles of equal height. */
function tileRows(positions: number): readonly number[] {
  if (positions <= TILE_ROWS) return [positions];
  return [Math.ceil(positions / 2), Math.floor(positions / 2)];
}

function tileShapes({ positions, chunk }: ProductSpec): readonly TileShape[] {
  const [first = 1, second = 1] = tileRows(positions);
  const sums = (rows: number): TileShape => ({ rows, rowBytes: ROW_BYTES });
  const input = (rows: number): TileShape => ({ rows, rowBytes: chunk * 2 });
  const weights = sums(chunk / 2);
  return [
    sums(first),
    sums(first),
    sums(second),
    sums(second),
    input(first),
    input(second),
    weights,
    weights,
  ];
}

interface Strides {
  readonly input: Int;
  readonly line: Int;
  readonly none: Int;
}

/** AMX. Up to 2 × 2 tiles of sums start at the bias and reach the epilogue through scratch memory. */
export const tileUnit: ProductUnit = {
  name: 'tiles',
  mostPositions: 2 * TILE_ROWS,
  nearWeightBytes: Number.POSITIVE_INFINITY,
  emit(a, spec, walk) {
    const { tiles } = a;
    if (tiles === undefined)
      throw new EngineError(`bf16 tiles: target ${a.target.name} has no tile registers here`, {
        target: a.target.name,
      });
    const strides = { input: a.int(spec.positionStride), line: a.int(ROW_BYTES), none: a.int(0) };
    tiles.configure(tileShapes(spec));
    walk((place, finish) => emitTilePanel(tiles, strides, place, finish));
    tiles.release();
    a.freeInt(strides.input, strides.line, strides.none);
  },
};

function emitTilePanel(
  tiles: TileInstructions,
  strides: Strides,
  place: PanelPlace,
  finish: FinishRow,
): void {
  const { spec, input, weights, scratch, columns } = place;
  const rows = tileRows(spec.positions);
  for (const r of rows.keys())
    for (const c of columns.keys()) tiles.load(sumTile(r, c), weights, strides.none, c * ROW_BYTES);
  let block = 0;
  for (const { offset, terms } of spec.chunks)
    for (let term = 0; term < terms; term++) {
      for (const r of rows.keys()) {
        const start = r * (rows[0] ?? 0) * spec.positionStride + offset;
        if (term === 0) tiles.load(inputTile(r), input, strides.input, start);
        for (const c of columns.keys()) {
          if (r === 0) tiles.load(weightTile(c), weights, strides.line, place.weightBlock(block, c));
          tiles.dotBf16(sumTile(r, c), inputTile(r), weightTile(c));
        }
      }
      block++;
    }
  for (const r of rows.keys())
    for (const c of columns.keys())
      tiles.store(sumTile(r, c), scratch, strides.line, sumTile(r, c) * TILE_BYTES);
  let position = 0;
  for (const [r, height] of rows.entries())
    for (let i = 0; i < height; i++)
      finish(
        position++,
        [...columns.keys()].map((c) => at(scratch, sumTile(r, c) * TILE_BYTES + i * ROW_BYTES)),
      );
}

/** AVX512-BF16: sums stay in registers; a pair of inputs is given to all lanes. */
export const dotUnit: ProductUnit = {
  name: 'dot',
  mostPositions: 10,
  nearWeightBytes: 2 ** 18,
  emit: (a, _, walk) => walk((place, finish) => emitDotPanel(a, place, finish)),
};

/** Bytes of weights fetched ahead: the first block of a panel would wait for them, for in a net they come from afar. */
const WEIGHTS_AHEAD = 8192;

/** Chunks that come one like the other: a turn of a loop, so many times. */
interface Stretch {
  readonly turn: readonly ProductChunk[];
  readonly turns: number;
  /** Bytes of input from a turn to the next. */
  readonly step: number;
}

/** A long sum that is written out comes from the second cache: code as well as weights, and code is slower. */
function stretchesOf({ chunks, inputTerms }: ProductSpec): readonly Stretch[] {
  const stretches: Stretch[] = [];
  for (let first = 0; first < chunks.length; ) {
    const turn = chunks.slice(first, first + inputTerms);
    const step = (chunks[first + inputTerms]?.offset ?? 0) - (turn[0]?.offset ?? 0);
    const like = ({ offset, terms }: ProductChunk, i: number): boolean => {
      const own = turn[i % inputTerms];
      return offset === (own?.offset ?? 0) + Math.floor(i / inputTerms) * step && terms === own?.terms;
    };
    const other = chunks.slice(first).findIndex((chunk, i) => !like(chunk, i));
    const turns = Math.max(1, Math.floor((other < 0 ? chunks.length - first : other) / inputTerms));
    stretches.push({ turn, turns, step });
    first += turns * inputTerms;
  }
  return stretches;
}

function emitDotPanel(a: VectorAssembler, place: PanelPlace, finish: FinishRow): void {
  const { spec, columns } = place;
  const sums = Array.from({ length: spec.positions }, () => columns.map(() => a.newVec()));
  for (const row of sums) for (const [c, sum] of row.entries()) a.load(sum, at(place.weights, c * ROW_BYTES));
  const factors = columns.map(() => a.newVec());
  const x = a.newVec();
  const [input, weights] = [a.newInt(), a.newInt()];
  a.moveInt(input, place.input);
  a.moveInt(weights, place.weights);
  const blockBytes = place.weightBlock(1, 0) - place.weightBlock(0, 0);
  const emitTurn = (turn: readonly ProductChunk[]): void => {
    let block = 0;
    for (const { offset, terms } of turn)
      for (let term = 0; term < terms; term++) {
        for (let pair = 0; pair < spec.chunk / 2; pair++) {
          for (const [c, factor] of factors.entries()) {
            const offset = place.weightBlock(block, c) + pair * ROW_BYTES;
            a.load(factor, at(weights, offset));
            a.prefetch(at(weights, offset + WEIGHTS_AHEAD));
          }
          for (const [p, row] of sums.entries()) {
            a.load(x, broadcastAt(input, p * spec.positionStride + offset + pair * 4));
            for (const [c, sum] of row.entries()) a.dotBf16(sum, x, factors[c] ?? x);
          }
        }
        block++;
      }
    a.addInt(weights, block * blockBytes);
  };
  for (const { turn, turns, step } of stretchesOf(spec)) {
    a.loop(turns, () => {
      emitTurn(turn);
      if (turns > 1) a.addInt(input, step);
    });
    if (turns > 1) a.subtractInt(input, turns * step);
  }
  a.freeInt(input, weights);
  a.freeVec(x, ...factors);
  for (const [p, row] of sums.entries()) finish(p, row);
  a.freeVec(...sums.flat());
}
