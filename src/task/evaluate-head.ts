import type { CompileOptions, Engine, NamedTensors, Session } from '../engine/engine.ts';
import type { Form } from '../model/block.ts';
import { inputName } from '../model/mobileone.ts';
import { exactSize, type HeadGraph, type HeadNet, runnableNet } from './head-net.ts';
import type { TaskHead } from './task-head.ts';

/** Prepared pictures, as a loader gives them for evaluation. */
export interface SizedBatch {
  /** [batch, height, width, 3], normalized, of the net's size. */
  readonly images: Float32Array;
  /** Which sample each row is; −1 for rows that are none. */
  readonly indices: ArrayLike<number>;
  /** [batch, 2]: width and height of each picture before it was resized. */
  readonly sizes: ArrayLike<number>;
  /** Called when the arrays are not needed any more. */
  readonly release?: () => void;
}

export interface EvaluateHeadOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions | undefined;
  /** What runs; default the deploy form alone. */
  readonly forms?: readonly Form[];
  readonly batch: number;
  /** How many of the worst pictures to keep; default 12. */
  readonly worst?: number;
  /** Pictures judged so far. */
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FormResult<R> {
  readonly form: Form;
  readonly result: R;
  /** Time the net ran. */
  readonly seconds: number;
}

export interface HeadEvaluation<R> {
  readonly forms: readonly FormResult<R>[];
  /** Pictures judged. */
  readonly count: number;
  /** From the first batch asked for to the last answer. */
  readonly seconds: number;
  /** Share of it spent waiting for pictures. */
  readonly waitShare: number;
}

/** One picture of a batch. */
export interface JudgedPicture {
  readonly row: number;
  /** Of the sample. */
  readonly index: number;
  readonly width: number;
  readonly height: number;
}

/** Compares what a net says of pictures with the truth. */
export interface HeadMeter<R> {
  readonly add: (outputs: NamedTensors, picture: JudgedPicture) => Promise<void> | void;
  readonly result: () => R;
}

interface Running<R> {
  readonly form: Form;
  readonly session: Session;
  readonly meter: HeadMeter<R>;
  seconds: number;
}

/** Runs a net with a head over batches, in one form or both at once, and has meters judge it. */
export async function evaluateHead<H extends TaskHead, R>(
  net: HeadNet<H>,
  batches: AsyncIterable<SizedBatch>,
  options: EvaluateHeadOptions,
  meterOf: (maps: HeadGraph['maps']) => HeadMeter<R>,
): Promise<HeadEvaluation<R>> {
  const { forms = ['deploy'], batch, signal } = options;
  const { height, width } = exactSize(net.transform);
  const running: Running<R>[] = [];
  const start = performance.now();
  let [count, waited] = [0, 0];
  try {
    for (const form of forms) {
      const { net: runnable, maps } = runnableNet(net, form, { batch });
      const session = await options.engine.compile(runnable.graph, runnable.weights, options.compile);
      running.push({ form, session, meter: meterOf(maps), seconds: 0 });
    }
    let asked = performance.now();
    for await (const one of batches) {
      waited += performance.now() - asked;
      signal?.throwIfAborted();
      const image = { shape: [batch, height, width, 3], data: one.images };
      for (const each of running) await judge(each, image, one);
      count += Array.from(one.indices).filter((index) => index >= 0).length;
      one.release?.();
      options.onProgress?.(count);
      asked = performance.now();
    }
    waited += performance.now() - asked;
  } finally {
    for (const { session } of running) session.dispose();
  }
  const passed = performance.now() - start;
  return {
    forms: running.map(({ form, meter, seconds }) => ({ form, result: meter.result(), seconds })),
    count,
    seconds: passed / 1000,
    waitShare: passed > 0 ? waited / passed : 0,
  };
}

async function judge<R>(
  running: Running<R>,
  image: NamedTensors[string],
  { indices, sizes }: SizedBatch,
): Promise<void> {
  const start = performance.now();
  const outputs = await running.session.run({ [inputName]: image });
  running.seconds += (performance.now() - start) / 1000;
  for (let row = 0; row < indices.length; row++) {
    const index = indices[row] ?? -1;
    const [width = 0, height = 0] = [sizes[2 * row], sizes[2 * row + 1]];
    if (index >= 0) await running.meter.add(outputs, { row, index, width, height });
  }
}
