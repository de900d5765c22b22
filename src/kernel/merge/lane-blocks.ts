/**
 * Depthwise algebra works on channels side by side: a block holds one vector of channels, row after row of lanes.
 * Matrices with a row for each channel are turned into blocks and back.
 *
 *     block of vector v   [rows][lanes]
 */
import type { Tile } from '../plan.ts';
import type { BufferPlace } from '../rename-buffers.ts';
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

/** Channels of a vector. */
export function lanesOf({ channels, lanes }: LaneBlocks, vector: number): number {
  return Math.min(lanes, channels - vector * lanes);
}

/** [channels][columns] → rows first … of the blocks. */
export function intoBlocks(
  blocks: LaneBlocks,
  { buffer, offset }: BufferPlace,
  columns: number,
  first: number,
): readonly Tile[] {
  return Array.from({ length: blocks.vectors }, (_, vector) =>
    turnTile({
      rows: lanesOf(blocks, vector),
      columns,
      from: { buffer, offset: offset + vector * blocks.lanes * columns * 4 },
      fromRow: columns,
      to: blockAt(blocks, vector, first),
      toRow: blocks.lanes,
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
  return Array.from({ length: blocks.vectors }, (_, vector) =>
    turnTile({
      rows: columns,
      columns: lanesOf(blocks, vector),
      from: blockAt(blocks, vector, first),
      fromRow: blocks.lanes,
      to: { buffer, offset: offset + vector * blocks.lanes * columns * 4 },
      toRow: columns,
    }),
  );
}
