import type { GraphBuilder } from '../../graph/builder.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { CheckedGraph, ValueId } from '../../graph/graph.ts';
import type { Net } from '../../graph/net.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import { mergeBranches } from '../../transform/merge-branches.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import { trainNorms } from '../../transform/train-norms.ts';
import { isFrozen, layerOf } from '../recipe/layer-names.ts';
import { type CommonRecipe, rateSchedule } from '../recipe/recipe.ts';
import { averageMomentum, type Moment, scheduled } from '../recipe/schedules.ts';
import {
  averageInput,
  endsInput,
  initialState,
  rateInput,
  shareInput,
  type UpdateRules,
  withUpdates,
} from './update-step.ts';

export type LearningRules = UpdateRules & Pick<CommonRecipe, 'mergeBranches'>;

/**
 * Lays out a loss behind a net that learns: adds the inputs that hold the truth, and what computes the loss.
 * @param outputs the net's, by name
 * @returns the loss, [1]
 * @throws GraphError when an output is missing
 */
export type AddLoss = (b: GraphBuilder, outputs: ReadonlyMap<string, ValueId>) => ValueId;

/**
 * One step of learning, as one graph. Inputs: the net's own, those of the loss, `rates`, with an average `averageRate`
 * and, where a step has several parts, `gradientShare` and `stepEnds` (`stepInputs` gives these). Outputs: the net's own, `loss` [1] and, with clipping, `norm` [1].
 * A run updates parameters, running statistics, the optimizer's memory and averages; `Session.state` reads them.
 */
export interface TrainingStep {
  readonly graph: CheckedGraph;
  /** The net's weights (frozen layers in deploy form) and what the step remembers, before the first run. */
  readonly weights: Weights;
}

/**
 * @param net train form (or deploy form, whose convolutions then learn as they are), and in its weights whatever a step
 *   before this one remembered
 */
export function learningStep(net: Net, rules: LearningRules, addLoss: AddLoss): TrainingStep {
  const frozen = (node: string): boolean => isFrozen(rules.freeze, layerOf(node));
  // What does not learn need not run branch by branch.
  const fused = rules.freeze === 'none' ? net : reparameterize(net, { only: ({ name }) => frozen(name) });
  const graph = learningStepGraph(fused.graph, rules, addLoss);
  return { graph, weights: initialState(graph, new Map([...net.weights, ...fused.weights])) };
}

function learningStepGraph(net: CheckedGraph, rules: LearningRules, addLoss: AddLoss): CheckedGraph {
  const learning = trainNorms(net, { frozen: (name) => isFrozen(rules.freeze, layerOf(name)) });
  const { mergeBranches: merged } = rules;
  const graph = mergeBranches(learning, merged === 'paying' ? {} : { choose: merged });
  const b = graphBuilder(`${net.name}, training step`, graph);
  const loss = addLoss(b, new Map(graph.outputs.map(({ name, value }) => [name, value])));
  b.output('loss', loss);
  return withUpdates(b.finish(), loss, rules);
}

export interface Rates {
  readonly rate: number;
  readonly decay: number;
  /** Momentum of the average; 0 without one. */
  readonly average: number;
}

/** What the schedules of a recipe say at a moment. */
export function ratesAt(recipe: CommonRecipe, moment: Moment): Rates {
  return {
    rate: scheduled(rateSchedule(recipe), moment),
    decay: scheduled(recipe.decay, moment),
    average: recipe.average ? averageMomentum(recipe.average, moment.step) : 0,
  };
}

/**
 * A part of a step that is computed in several. Losses are means over what counts in a part (pictures, pixels that have
 * a class, anchors that have an object); gradients weighed by how much that is are those of the whole step's mean.
 */
export interface StepPart {
  /** What counts in the step's parts before this one. */
  readonly before: number;
  readonly own: number;
  readonly ends: boolean;
}

/**
 * The step's inputs that schedules decide.
 * @param part where the recipe accumulates; default the last of equal ones
 */
export function stepInputs(
  recipe: CommonRecipe,
  moment: Moment,
  part: StepPart = { before: recipe.accumulate - 1, own: 1, ends: true },
): Readonly<Record<string, Tensor>> {
  const { rate, decay, average } = ratesAt(recipe, moment);
  const { optimizer } = recipe;
  const taken = moment.step + 1;
  const rates =
    optimizer.kind === 'sgd'
      ? [rate, decay]
      : [rate, decay, 1 - optimizer.beta1 ** taken, 1 - optimizer.beta2 ** taken];
  const one = (value: number): Tensor => ({ shape: [1], data: Float32Array.of(value) });
  return {
    [rateInput]: { shape: [rates.length], data: Float32Array.from(rates) },
    ...(recipe.average ? { [averageInput]: one(average) } : {}),
    ...(recipe.accumulate > 1
      ? { [shareInput]: one(shareBefore(part)), [endsInput]: one(part.ends ? 1 : 0) }
      : {}),
  };
}

/** 0 in a step's first part, which forgets the step before; 1 where nothing counts in this one. */
const shareBefore = ({ before, own }: StepPart): number => (before > 0 ? before / (before + own) : 0);
