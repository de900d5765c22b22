import type { BufferName, Tile } from './plan.ts';

/** Where a buffer of a part of a plan lies in the whole plan. */
export interface BufferPlace {
  readonly buffer: BufferName;
  /** Bytes. */
  readonly offset: number;
}

/** The same work on other buffers: how plans are put together from plans. Buffers not named stay as they are. */
export function renameTiles(
  tiles: readonly Tile[],
  places: Partial<Readonly<Record<BufferName, BufferPlace>>>,
): readonly Tile[] {
  return tiles.map(({ kernel, slots }) => ({
    kernel,
    slots: slots.map((slot) => {
      const place = typeof slot === 'number' ? undefined : places[slot.buffer];
      return typeof slot === 'number' || place === undefined
        ? slot
        : { buffer: place.buffer, offset: place.offset + slot.offset };
    }),
  }));
}
