/** What a pass over prepared pictures took. */
export interface Pass {
  /** Pictures judged. */
  readonly count: number;
  /** From the first batch asked for to the last answer. */
  readonly seconds: number;
  /** Share of it spent waiting for pictures. */
  readonly waitShare: number;
}

export interface PassOptions {
  /** Pictures judged so far. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface IndexedBatch {
  /** Which sample each row is; −1 for rows that are none. */
  readonly indices: ArrayLike<number>;
  readonly release?: () => void;
}

/** Judges batches one after the other and releases them. @throws the signal's reason after an abort */
export async function passOver<B extends IndexedBatch>(
  batches: AsyncIterable<B>,
  { onProgress, signal }: PassOptions,
  judge: (batch: B) => Promise<void>,
): Promise<Pass> {
  const start = performance.now();
  let [count, waited] = [0, 0];
  let asked = start;
  for await (const batch of batches) {
    waited += performance.now() - asked;
    signal?.throwIfAborted();
    await judge(batch);
    count += Array.from(batch.indices).filter((index) => index >= 0).length;
    batch.release?.();
    onProgress?.(count);
    asked = performance.now();
  }
  const end = performance.now();
  waited += end - asked;
  return { count, seconds: (end - start) / 1000, waitShare: end > start ? waited / (end - start) : 0 };
}
