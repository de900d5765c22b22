import type { CompileOptions, Engine } from '../../engine/engine.ts';
import { EngineError, GraphError } from '../../errors.ts';
import { encodeOnnx } from '../../format/onnx/encode-onnx.ts';
import type { Net } from '../../graph/net.ts';
import { type OnnxModel, openOnnxRuntime, tensorsOf } from '../../platform/node/onnx-runtime.ts';
import { probeInputs, warm } from '../../task/bench-net.ts';
import { compareOutputs } from '../../task/compare-nets.ts';
import { type Race, type RaceSchedule, race } from '../../task/race.ts';
import { scientific } from '../text/numbers.ts';

export const rivals = ['onnxruntime-node'] as const;

/** Our engine (a) against ONNX Runtime (b), on the same net, weights, pictures and number of threads. */
export interface Versus extends Race {
  readonly rival: (typeof rivals)[number];
  readonly version: string;
  readonly threads: number;
  /** Largest difference of the outputs, absolute and over the largest output. */
  readonly difference: { readonly absolute: number; readonly relative: number };
}

/** Beyond this, answers differ by more than rounding, and their times say nothing. */
const mostDifference = { f32: 1e-4, bf16: 0.1 } as const;

/** Says before anything is measured that there will be nothing to measure against. @throws EngineError */
export async function requireRival(): Promise<void> {
  const runtime = await openOnnxRuntime();
  if (!runtime.found)
    throw new EngineError(
      `--vs onnxruntime-node: ${runtime.reason}. Install it: npm install onnxruntime-node`,
    );
}

/** @throws EngineError when the answers differ or the runtime refuses the net */
export async function raceOnnxRuntime(
  engine: Engine,
  net: Net,
  options: CompileOptions & RaceSchedule,
  threads: number,
): Promise<Versus> {
  const runtime = await openOnnxRuntime();
  if (!runtime.found) throw new EngineError(`--vs onnxruntime-node: ${runtime.reason}.`);
  const model = await runtime.open(encodeOnnx(net), threads);
  try {
    const found = await raceModel(engine, net, options, model);
    return { rival: 'onnxruntime-node', version: runtime.version, threads, ...found };
  } finally {
    await model.release();
  }
}

async function raceModel(
  engine: Engine,
  net: Net,
  options: CompileOptions & RaceSchedule,
  model: OnnxModel,
): Promise<Race & Pick<Versus, 'difference'>> {
  const inputs = probeInputs(net.graph);
  const [input] = Object.values(inputs);
  if (input === undefined) throw new GraphError(`--vs: "${net.graph.name}" has no input.`);
  const theirs = model.prepare(input);
  const session = await engine.compile(net.graph, net.weights, options);
  try {
    const ours = () => session.run(inputs);
    const difference = compareOutputs(tensorsOf(await theirs()), await ours());
    const limit = mostDifference[options.precision?.startsWith('bf16') ? 'bf16' : 'f32'];
    if (!(difference.relative <= limit))
      throw new EngineError(
        `--vs onnxruntime-node: answers differ by ${scientific(difference.relative)} of the largest, where at most ${limit} is rounding; nothing was timed.`,
        { ...difference, limit },
      );
    await warm(ours);
    await warm(theirs);
    return { ...(await race(ours, theirs, options)), difference };
  } finally {
    session.dispose();
  }
}
