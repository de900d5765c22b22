import type { BufferName, KernelCall, Tile } from './plan.ts';

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
  const rename = ({ kernel, slots }: KernelCall): KernelCall => ({
    kernel,
    slots: slots.map((slot) => {
      const place = typeof slot === 'number' ? undefined : places[slot.buffer];
      return typeof slot === 'number' || place === undefined
        ? slot
        : { buffer: place.buffer, offset: place.offset + slot.offset };
    }),
  });
  return tiles.map((tile) =>
    tile.next === undefined ? rename(tile) : { ...rename(tile), next: tile.next.map(rename) },
  );
}
