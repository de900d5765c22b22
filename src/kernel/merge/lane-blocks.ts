/**
 * Depthwise algebra works on channels side by side: a block holds one vector of channels, row after row of lanes.
 * Matrices with a row for each channel are turned into blocks and back.
 *
 *     block of vector v   [rows][lanes]
 */
import type { BufferPlace, Tile } from '../plan/plan.ts';
import { turnTile } from './turn.ts';

export interface LaneBlocks {
  readonly channels: number;
  readonly lanes: number;
  readonly vectors: number;
  readonly rows: number;
  /** Bytes into scratch memory. */
  readonly offset: number;
}

export function laneBlocks(
  channels: number,
  lanes: number,
  rows: number,
  take: (numbers: number) => number,
): LaneBlocks {
  const vectors = Math.ceil(channels / lanes);
  return { channels, lanes, vectors, rows, offset: take(vectors * rows * lanes) };
}

/** A row of a vector's block. */
export function blockAt({ lanes, rows, offset }: LaneBlocks, vector: number, row = 0): BufferPlace {
  return { buffer: 'scratch', offset: offset + (vector * rows + row) * lanes * 4 };
}

/** Whole vectors of channels, and what is left. */
function vectorRuns({
  channels,
  lanes,
}: LaneBlocks): readonly { first: number; times: number; used: number }[] {
  const whole = Math.floor(channels / lanes);
  const rest = channels - whole * lanes;
  return [
    ...(whole > 0 ? [{ first: 0, times: whole, used: lanes }] : []),
    ...(rest > 0 ? [{ first: whole, times: 1, used: rest }] : []),
  ];
}

/** [channels][columns] → rows first … of the blocks. */
export function intoBlocks(
  blocks: LaneBlocks,
  { buffer, offset }: BufferPlace,
  columns: number,
  first: number,
): readonly Tile[] {
  const { lanes, rows } = blocks;
  return vectorRuns(blocks).map((run) =>
    turnTile({
      rows: run.used,
      columns,
      from: { buffer, offset: offset + run.first * lanes * columns * 4 },
      fromRow: columns,
      to: blockAt(blocks, run.first, first),
      toRow: lanes,
      repeat: { times: run.times, from: lanes * columns, to: rows * lanes },
    }),
  );
}

/** Rows first … of the blocks → [channels][columns] */
export function fromBlocks(
  blocks: LaneBlocks,
  { buffer, offset }: BufferPlace,
  columns: number,
  first: number,
): readonly Tile[] {
  const { lanes, rows } = blocks;
  return vectorRuns(blocks).map((run) =>
    turnTile({
      rows: columns,
      columns: run.used,
      from: blockAt(blocks, run.first, first),
      fromRow: lanes,
      to: { buffer, offset: offset + run.first * lanes * columns * 4 },
      toRow: columns,
      repeat: { times: run.times, from: rows * lanes, to: lanes * columns },
    }),
  );
}
