/**
 * Batches that a net takes in passes of a few pictures: what lies between its layers then stays in caches, and memory
 * for the rest is not needed. Weights are read anew in each pass, so it must be worth reading them.
 */
import { EngineError } from '../../errors.ts';
import { graphCost } from '../../graph/cost.ts';
import { type CheckedGraph, valueAt } from '../../graph/graph.ts';
import { imagesOf, withImages } from '../../graph/with-images.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';
import type { NamedTensors, Session } from '../engine.ts';
import { checkInputs, checkOutputs, type Place } from './tensor-ports.ts';

/** Arithmetic that pays for reading a byte of weights: a picture of 224 px gives S0 66 flops a byte, S1 87, and both were measured to gain. */
const FLOPS_A_WEIGHT_BYTE = 48;

/** Larger batches are mistakes, which are refused for the memory they would need. */
const MOST_IMAGES = 2 ** 16;

/**
 * The graph of one pass. A picture for each thread, so that threads meet between layers with equal work behind them, or
 * a multiple of that where the pictures are small.
 * @returns undefined where the batch is best taken whole
 */
export function passGraph(graph: CheckedGraph, threads: number): CheckedGraph | undefined {
  const images = imagesOf(graph);
  if (images === undefined || images < 2 || images > MOST_IMAGES) return undefined;
  const { macs, parameters } = graphCost(graph);
  const needed = (FLOPS_A_WEIGHT_BYTE * 4 * parameters * images) / (2 * macs);
  const unit = images % threads === 0 ? threads : 1;
  for (let pass = unit; pass < images; pass += unit)
    if (images % pass === 0 && pass >= needed) return withImages(graph, pass);
  return undefined;
}

function placesOf(graph: CheckedGraph): { inputs: readonly Place[]; outputs: readonly Place[] } {
  return {
    inputs: graph.inputs.map((id) => valueAt(graph, id)),
    outputs: graph.outputs.map(({ name, value }) => ({ name, shape: valueAt(graph, value).shape })),
  };
}

/** The part of a tensor that pass number `index` takes. */
function partOf({ data }: Tensor, index: number, shape: Shape): Tensor {
  const count = elementCount(shape);
  return { shape, data: data.subarray(index * count, (index + 1) * count) };
}

/** A session for a whole batch from one for a pass. */
export function inPasses(graph: CheckedGraph, pass: CheckedGraph, session: Session): Session {
  const whole = placesOf(graph);
  const part = placesOf(pass);
  const passes = (imagesOf(graph) ?? 0) / (imagesOf(pass) ?? 0);
  const { runSync: runPass } = session;
  if (runPass === undefined || !Number.isSafeInteger(passes))
    throw new EngineError(`engine cpu: graph "${graph.name}" cannot run in passes.`);
  let disposed = false;
  const runSync = (inputs: NamedTensors, outputs?: NamedTensors): NamedTensors => {
    if (disposed) throw new EngineError(`engine cpu: graph "${graph.name}" was disposed; compile it again.`);
    checkOutputs(graph.name, whole.outputs, outputs);
    checkInputs(graph.name, whole.inputs, inputs);
    const results: Record<string, Tensor> = {};
    for (const { name, shape } of whole.outputs) {
      const given = outputs && Object.hasOwn(outputs, name) ? outputs[name] : undefined;
      results[name] = given ?? { shape, data: new Float32Array(elementCount(shape)) };
    }
    const parts = (tensors: NamedTensors, places: readonly Place[], index: number): NamedTensors =>
      Object.fromEntries(
        places.flatMap(({ name, shape }) => {
          const tensor = tensors[name];
          return tensor === undefined ? [] : [[name, partOf(tensor, index, shape)]];
        }),
      );
    for (let i = 0; i < passes; i++) runPass(parts(inputs, part.inputs, i), parts(results, part.outputs, i));
    return results;
  };
  const { info } = session;
  return {
    ...session,
    run: async (inputs, outputs) => runSync(inputs, outputs),
    runSync,
    profile: () =>
      (session.profile?.() ?? []).map((task) => ({
        ...task,
        runs: task.runs / passes,
        flops: task.flops * passes,
      })),
    ...(info && { info: { ...info, flops: info.flops * passes } }),
    dispose: () => {
      disposed = true;
      session.dispose();
    },
  };
}
