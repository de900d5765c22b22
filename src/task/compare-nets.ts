import type { Engine } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import { valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import { createRandom } from '../tensor/random.ts';
import {
  elementCount,
  formatShape,
  maxDifference,
  type Shape,
  sameShape,
  type Tensor,
} from '../tensor/tensor.ts';

/** Pictures, height and width of the batch that comparisons run on unless told otherwise. */
export const probeSize = { batch: 2, height: 64, width: 64 } as const;

/** How far the outputs of two nets lie apart on the same input. */
export interface Agreement {
  /** Largest |a − b| over every output. */
  readonly absolute: number;
  /** The same, each output's divided by its largest |a|. */
  readonly relative: number;
  /** Shape of the probe, [N,H,W,C]. */
  readonly probe: Shape;
}

/** A batch as normalized pictures are: standard normal numbers, the same for the same seed. */
export function probeBatch(shape: Shape, seed: number): Tensor<Float32Array> {
  const { normal } = createRandom(seed);
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, normal) };
}

/**
 * Runs two nets of one input on a seeded probe.
 * @throws UsageError when their inputs or outputs are not alike
 */
export async function compareNets(engine: Engine, a: Net, b: Net, seed = 1): Promise<Agreement> {
  const [, shape] = onlyInput(a);
  if (!sameShape(shape, onlyInput(b)[1]))
    throw new UsageError(
      `compareNets: "${a.graph.name}" takes ${formatShape(shape)} and "${b.graph.name}" ${formatShape(onlyInput(b)[1])}; build both for one input.`,
    );
  const probe = probeBatch(shape, seed);
  return {
    ...compareOutputs(await runOnce(engine, a, probe), await runOnce(engine, b, probe)),
    probe: shape,
  };
}

export type Outputs = Readonly<Record<string, Tensor>>;

/** @throws UsageError when an output of one is missing in the other */
export function compareOutputs(expected: Outputs, found: Outputs): Omit<Agreement, 'probe'> {
  const names = Object.keys(expected).sort();
  if (names.join() !== Object.keys(found).sort().join())
    throw new UsageError(`compare: outputs ${names.join(', ')} and ${Object.keys(found).join(', ')} differ.`);
  let [absolute, relative] = [0, 0];
  for (const [name, tensor] of Object.entries(expected)) {
    const other = found[name];
    if (!other) continue;
    const difference = maxDifference(other, tensor);
    absolute = Math.max(absolute, difference.absolute); // NaN stays NaN
    relative = Math.max(relative, difference.relative);
  }
  return { absolute, relative };
}

function onlyInput({ graph }: Net): readonly [name: string, shape: Shape] {
  const [id, ...more] = graph.inputs;
  if (id === undefined || more.length > 0)
    throw new UsageError(`compareNets: "${graph.name}" has ${graph.inputs.length} inputs; 1 is needed.`);
  const { name, shape } = valueAt(graph, id);
  return [name, shape];
}

/** One run of a net of one input. */
export async function runOnce(engine: Engine, net: Net, input: Tensor): Promise<Outputs> {
  const session = await engine.compile(net.graph, net.weights);
  try {
    return await session.run({ [onlyInput(net)[0]]: input });
  } finally {
    session.dispose();
  }
}
