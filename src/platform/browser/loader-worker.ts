/** The program of a thread that loads pictures in a page. Its first message is a LoaderStart. */
import { type BatchRequest, serveBatches } from '../../data/loader/worker-pool.ts';
import { createBrowserDecoder } from './image-decoder.ts';
import type { LoaderStart } from './loader-workers.ts';

let serve: ((request: BatchRequest) => void) | undefined;
globalThis.addEventListener('message', ({ data }: MessageEvent<LoaderStart | BatchRequest>) => {
  if ('task' in data) serve?.(data);
  else {
    const { jpegWasm } = data;
    const decoder = createBrowserDecoder(jpegWasm === undefined ? {} : { jpegWasm });
    const read = (): Promise<Uint8Array> => Promise.reject(new TypeError('a page cannot read files by path'));
    serve = serveBatches({ decoder, read }, (reply, transfer) => globalThis.postMessage(reply, { transfer }));
  }
});
