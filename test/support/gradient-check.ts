import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { type GraphBuilder, graphBuilder } from '../../src/graph/builder.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../../src/graph/graph.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { elementCount, type Tensor, toFloat64, type Weights } from '../../src/tensor/tensor.ts';
import { differentiate } from '../../src/transform/differentiate.ts';

/** Appends loss [1] = Σ over the outputs of ⟨output, a random tensor⟩; the tensors are parameters `projection.i`. */
function projectedLoss(b: GraphBuilder, outputs: readonly ValueId[]): ValueId {
  const terms = outputs.map((id, i) => {
    const size = elementCount(b.shape(id));
    const row = b.node('reshape', `projection.${i}.row`, { shape: [1, size] }, [id]);
    return b.node('linear', `projection.${i}.dot`, {}, [
      row,
      b.parameter(`projection.${i}`, [1, size], 'state'),
    ]);
  });
  return b.node('reshape', 'loss', { shape: [1] }, [b.node('sum', 'loss.sum', {}, terms)]);
}

export interface GradientCheck {
  readonly graph: CheckedGraph;
  /** Of inputs and parameters by name; projections that are missing are drawn. */
  readonly values: Weights;
  readonly outputs: readonly ValueId[];
  readonly wanted: readonly ValueId[];
  /** Step of the difference, along directions whose largest component is 1. */
  readonly step?: number;
}

/**
 * Compares the directional derivative of a random projection, by central differences in f64, with what the backward
 * pass gives.
 * @returns for each wanted value |difference| / (Σ|gradient·direction| + |loss|/50)
 */
export async function gradientErrors(check: GradientCheck): Promise<ReadonlyMap<string, number>> {
  const { graph, wanted, step = 1e-5 } = check;
  const random = createRandom(5);
  const b = graphBuilder(graph.name, graph);
  const loss = projectedLoss(b, check.outputs);
  b.output('loss', loss);
  const forward = b.finish();
  const whole = differentiate(forward, loss, wanted);
  const values = new Map([...check.values].map(([name, tensor]) => [name, toFloat64(tensor)] as const));
  for (const { value } of forward.parameters) {
    const { name, shape } = valueAt(forward, value);
    if (!values.has(name))
      values.set(
        name,
        randomTensor(shape, () => random.normal()),
      );
  }
  const gradients = await run(withGradients(whole), values);
  const errors = new Map<string, number>();
  for (const id of wanted) {
    const { name, shape } = valueAt(graph, id);
    const direction = randomTensor(shape, () => 2 * random.uniform() - 1);
    const at = async (sign: number): Promise<number> => {
      const moved = new Map(values);
      const base = values.get(name)?.data ?? new Float64Array(0);
      const data = base.map((value, i) => value + sign * step * (direction.data[i] ?? 0));
      moved.set(name, { shape, data });
      return (await run(forward, moved)).loss?.data[0] ?? Number.NaN;
    };
    const [ahead, behind] = [await at(1), await at(-1)];
    // Fourth order: a weight near zero before a norm bends the loss within a few steps.
    const measured = (8 * (ahead - behind) - ((await at(2)) - (await at(-2)))) / (12 * step);
    // A loss is known to a few units of its last place, which the step magnifies.
    let [dot, size] = [0, 1e-9 + (Math.abs(ahead) + Math.abs(behind)) / 100];
    gradients[name]?.data.forEach((value, i) => {
      dot += value * (direction.data[i] ?? 0);
      size += Math.abs(value * (direction.data[i] ?? 0));
    });
    errors.set(name, Math.abs(measured - dot) / size);
  }
  return errors;
}

function withGradients({ graph, gradients }: ReturnType<typeof differentiate>): CheckedGraph {
  const b = graphBuilder(graph.name, graph);
  for (const [of, gradient] of gradients) b.output(valueAt(graph, of).name, gradient);
  return b.finish();
}

function randomTensor(shape: readonly number[], draw: () => number): Tensor<Float64Array> {
  return { shape, data: Float64Array.from({ length: elementCount(shape) }, draw) };
}

async function run(graph: CheckedGraph, values: Weights) {
  const session = await referenceEngine.compile(graph, values, { precision: 'f64' });
  const inputs: Record<string, Tensor> = {};
  for (const id of graph.inputs) {
    const { name } = valueAt(graph, id);
    const value = values.get(name);
    if (value) inputs[name] = value;
  }
  return session.run(inputs);
}
