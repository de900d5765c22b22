import { createRandom, deriveSeed } from '../../tensor/random.ts';

/** First step of the path of every seed that loading derives, so that its parts have unrelated numbers. */
const orderStream = 1;
export const sampleStream = 2;
export const mixStream = 3;
export const mosaicStream = 4;

/** The order of an epoch's samples: a permutation of 0 … count − 1 (Fisher–Yates), or as they are. */
export function epochOrder(count: number, shuffle: boolean, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  if (!shuffle) return order;
  const random = createRandom(deriveSeed(seed, orderStream, epoch));
  for (let last = count - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    const kept = order[last] ?? 0;
    order[last] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}
