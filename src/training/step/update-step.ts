import type { GraphBuilder } from '../../graph/builder.ts';
import { graphBuilder } from '../../graph/builder.ts';
import {
  type CheckedGraph,
  isLearned,
  type ParameterRole,
  type ValueId,
  valueAt,
} from '../../graph/graph.ts';
import type { Shape } from '../../tensor/tensor.ts';
import { elementCount, type Tensor, type Weights } from '../../tensor/tensor.ts';
import { differentiate } from '../../transform/differentiate.ts';
import { isFrozen, layerOf, layersOf } from '../recipe/layer-names.ts';
import type { CommonRecipe } from '../recipe/recipe.ts';
import { layerScales } from '../recipe/schedules.ts';

/** The inputs of a step that schedules decide; see `stepInputs`. */
export const rateInput = 'rates';
export const averageInput = 'averageRate';
/** Of the parts of a step so far in their mean gradient, when the next is added: i/(i + 1) for part i of equal ones. */
export const shareInput = 'gradientShare';
/** 0 in all parts of a step but the last: they only gather gradients. */
export const endsInput = 'stepEnds';

/** What a run remembers of a parameter beside its value, and how its tensor is called among the weights. */
export type Memory = 'velocity' | 'first' | 'second' | 'average' | 'gradient';
export const memoryName = (memory: Memory, parameter: string): string => `${memory}:${parameter}`;

/** Whether a memory is of use within a step only. */
export const isPassing = (name: string): boolean => name.startsWith(memoryName('gradient', ''));

export type UpdateRules = Pick<
  CommonRecipe,
  'optimizer' | 'decayed' | 'clip' | 'average' | 'layerDecay' | 'freeze'
> &
  Partial<Pick<CommonRecipe, 'accumulate'>>;

/**
 * From a graph with a loss to one training step: backward pass, optimizer and running averages are more nodes, and
 * after a run every parameter that learns, its optimizer's memory and every average hold their new values. Adds the
 * inputs `rates` and, with an average, `averageRate`. With `accumulate` above 1 a step is so many runs, each on a part of
 * the batch: gradients become their mean, and only the last run, which `stepEnds`, goes on to the optimizer.
 * @param loss [1], a value of the graph
 */
export function withUpdates(graph: CheckedGraph, loss: ValueId, rules: UpdateRules): CheckedGraph {
  const learned = graph.parameters.filter(
    ({ value, role }) => isLearned(role) && !isFrozen(rules.freeze, layerOf(valueAt(graph, value).name)),
  );
  const { graph: whole, gradients: found } = differentiate(
    graph,
    loss,
    learned.map(({ value }) => value),
  );
  const b = graphBuilder(graph.name, whole);
  const rates = b.input(rateInput, [rules.optimizer.kind === 'sgd' ? 2 : 4]);
  const layers = layersOf(graph.parameters.map(({ value }) => valueAt(graph, value).name));
  const scales = layerScales(layers, rules.layerDecay);
  const parts = rules.accumulate ?? 1;
  const gradients = parts === 1 ? found : gathered(b, graph, found);
  const factor = clipping(b, rules.clip, [...gradients.values()]);
  if (parts > 1) b.gate(b.input(endsInput, [1]));
  const renewed: [parameter: ValueId, value: ValueId][] = whole.updates.map(({ parameter, value }) => [
    parameter,
    value,
  ]);
  for (const { value, role } of learned) {
    const gradient = gradients.get(value);
    if (gradient === undefined) continue;
    const { name } = valueAt(graph, value);
    const scale = { rateScale: scales.get(layerOf(name)) ?? 1, decayScale: decays(rules, role) ? 1 : 0 };
    renewed.push([value, optimized(b, { rules, parameter: value, name, gradient, rates, factor, scale })]);
  }
  if (rules.average) averaged(b, graph, renewed);
  return b.finish();
}

/** gradient + share·(mean of those before − gradient): exactly the gradient in the first part. */
function gathered(
  b: GraphBuilder,
  graph: CheckedGraph,
  gradients: ReadonlyMap<ValueId, ValueId>,
): ReadonlyMap<ValueId, ValueId> {
  const share = b.input(shareInput, [1]);
  const means = new Map<ValueId, ValueId>();
  for (const [parameter, gradient] of gradients) {
    const { name, shape } = valueAt(graph, parameter);
    const before = b.parameter(memoryName('gradient', name), shape, 'state');
    const operands = [gradient, before, share];
    const mean = b.node('lerp', `${name}.gathered`, { rate: null, factor: 1 }, operands);
    b.update(before, mean);
    means.set(parameter, mean);
  }
  return means;
}

function decays({ decayed }: UpdateRules, role: ParameterRole): boolean {
  if (role === 'gamma' || role === 'beta') return decayed.norms;
  return role === 'bias' ? decayed.biases : true;
}

/** The factor that all gradients are shrunk by, also given out as `norm`. */
function clipping(
  b: GraphBuilder,
  maxNorm: number | null,
  gradients: readonly ValueId[],
): readonly ValueId[] {
  if (maxNorm === null || gradients.length === 0) return [];
  const [factor, norm] = b.results('clipFactor', 'clip', { maxNorm }, gradients);
  if (norm !== undefined) b.output('norm', norm);
  return factor === undefined ? [] : [factor];
}

interface OptimizedParameter {
  readonly rules: UpdateRules;
  readonly parameter: ValueId;
  readonly name: string;
  readonly gradient: ValueId;
  readonly rates: ValueId;
  readonly factor: readonly ValueId[];
  readonly scale: { readonly rateScale: number; readonly decayScale: number };
}

/** One optimizer node with its updates. @returns the parameter's new value */
function optimized(b: GraphBuilder, one: OptimizedParameter): ValueId {
  const { parameter, name, gradient, rates, factor, scale } = one;
  const { kind, ...attrs } = one.rules.optimizer;
  const memories: readonly Memory[] = kind === 'sgd' ? ['velocity'] : ['first', 'second'];
  const shape = b.shape(parameter);
  const kept = memories.map((memory) => b.parameter(memoryName(memory, name), shape, 'state'));
  const inputs = [parameter, gradient, ...kept, rates, ...factor];
  const [renewed = parameter, ...renewedMemories] =
    'momentum' in attrs
      ? b.results('sgd', `${name}.step`, { ...attrs, ...scale }, inputs)
      : b.results('adamw', `${name}.step`, { ...attrs, ...scale }, inputs);
  b.update(parameter, renewed);
  kept.forEach((memory, i) => {
    const value = renewedMemories[i];
    if (value !== undefined) b.update(memory, value);
  });
  return renewed;
}

/** Moving averages of everything that changes, running statistics too. */
function averaged(
  b: GraphBuilder,
  graph: CheckedGraph,
  renewed: readonly (readonly [parameter: ValueId, value: ValueId])[],
): void {
  const rate = b.input(averageInput, [1]);
  for (const [parameter, value] of renewed) {
    const { name, shape } = valueAt(graph, parameter);
    const average = b.parameter(memoryName('average', name), shape, 'state');
    const operands = [average, value, rate];
    b.update(average, b.node('lerp', `${name}.average`, { rate: null, factor: 1 }, operands));
  }
}

/** The tensors a run starts with: memories 0, averages equal to what they average. */
export function initialState(graph: CheckedGraph, weights: Weights): Weights {
  const state = new Map<string, Tensor>();
  for (const { value } of graph.parameters) {
    const { name, shape } = valueAt(graph, value);
    const source = weights.get(name) ?? weights.get(name.replace(/^average:/, ''));
    state.set(name, source ?? blank(shape));
  }
  return state;
}

function blank(shape: Shape): Tensor {
  return { shape, data: new Float32Array(elementCount(shape)) };
}

/** The weights to evaluate with: averages where there are any. By the names of the net. */
export function evaluationWeights(names: Iterable<string>, state: Weights): Weights {
  const weights = new Map<string, Tensor>();
  for (const name of names) {
    const tensor = state.get(memoryName('average', name)) ?? state.get(name);
    if (tensor) weights.set(name, tensor);
  }
  return weights;
}
