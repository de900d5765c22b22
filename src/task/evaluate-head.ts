import type { CompileOptions, Engine, NamedTensors, Session } from '../engine/engine.ts';
import type { Form } from '../model/block.ts';
import { inputName } from '../model/mobileone.ts';
import { exactSize, type HeadGraph, type HeadNet, runnableNet } from './head-net.ts';
import { type Pass, type PassOptions, passOver } from './pass-over.ts';
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

export interface EvaluateHeadOptions extends PassOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions | undefined;
  /** What runs; default the deploy form alone. */
  readonly forms?: readonly Form[];
  readonly batch: number;
  /** How many of the worst pictures to keep; default 12. */
  readonly worst?: number;
}

export interface FormResult<R> {
  readonly form: Form;
  readonly result: R;
  /** Time the net ran. */
  readonly seconds: number;
}

export interface HeadEvaluation<R> extends Pass {
  readonly forms: readonly FormResult<R>[];
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
  const { forms = ['deploy'], batch } = options;
  const { height, width } = exactSize(net.transform);
  const running: Running<R>[] = [];
  try {
    for (const form of forms) {
      const { net: runnable, maps } = runnableNet(net, form, { batch, whole: false });
      const session = await options.engine.compile(runnable.graph, runnable.weights, options.compile);
      running.push({ form, session, meter: meterOf(maps), seconds: 0 });
    }
    const pass = await passOver(batches, options, async (one) => {
      const image = { shape: [batch, height, width, 3], data: one.images };
      for (const each of running) await judge(each, image, one);
    });
    return {
      forms: running.map(({ form, meter, seconds }) => ({ form, result: meter.result(), seconds })),
      ...pass,
    };
  } finally {
    for (const { session } of running) session.dispose();
  }
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
