import type { ImageDecoder } from '../../image/codec.ts';
import type { BatchPool } from './batch.ts';
import { makeBatch } from './make-batch.ts';

/** Makes batches on this thread, when they are asked for. */
export function createInlinePool(decoder: ImageDecoder): BatchPool {
  const read = (): Promise<Uint8Array> => Promise.reject(new TypeError('the bytes were not sent along'));
  return {
    ahead: 0,
    readsFiles: false,
    make: (task) => makeBatch(task, { decoder, read }),
    close: async () => {},
  };
}
