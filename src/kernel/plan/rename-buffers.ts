import { type BufferName, type BufferPlace, further, type KernelCall, type Tile } from './plan.ts';

/** Where buffers of a part of a plan lie in the whole plan. */
export type BufferPlaces = Partial<Readonly<Record<BufferName, BufferPlace>>>;

/** The same work on other buffers: how plans are put together from plans. Buffers not named stay as they are. */
export function renameTiles(tiles: readonly Tile[], places: BufferPlaces): readonly Tile[] {
  const rename = ({ kernel, slots }: KernelCall): KernelCall => ({
    kernel,
    slots: slots.map((slot) => {
      const place = typeof slot === 'number' ? undefined : places[slot.buffer];
      return typeof slot === 'number' || place === undefined ? slot : further(place, slot.offset);
    }),
  });
  return tiles.map((tile) =>
    tile.next === undefined ? rename(tile) : { ...rename(tile), next: tile.next.map(rename) },
  );
}
