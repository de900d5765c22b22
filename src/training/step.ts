import { GraphError } from '../errors.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../graph/graph.ts';
import type { Net } from '../graph/net.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';
import { mergeBranches } from '../transform/merge-branches.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { trainNorms } from '../transform/train-norms.ts';
import { isFrozen, layerOf } from './layer-names.ts';
import { type Recipe, rateSchedule } from './recipe.ts';
import { averageMomentum, type Moment, scheduled } from './schedules.ts';
import { averageInput, initialState, rateInput, type UpdateRules, withUpdates } from './update-step.ts';

export const targetsInput = 'targets';
export const teacherInput = 'teacher';

export type StepRules = UpdateRules & Pick<Recipe, 'loss' | 'distill' | 'mergeBranches'>;

/**
 * One step of learning to classify, as one graph.
 * Inputs: the net's own (images [N,H,W,C]), `targets` [N,K] (distributions over the classes), with distillation
 * `teacher` [N,K] (the teacher's probabilities at the recipe's temperature), `rates` and, with an average,
 * `averageRate` (`stepInputs` gives both). Outputs: `loss` [1], `logits` [N,K] and, with clipping, `norm` [1].
 * A run updates parameters, running statistics, the optimizer's memory and averages; `Session.state` reads them.
 */
export interface TrainingStep {
  readonly graph: CheckedGraph;
  /** The net's weights (frozen layers in deploy form) and what the step remembers, before the first run. */
  readonly weights: Weights;
}

/**
 * @param net train form (or deploy form, whose convolutions then learn as they are), with one output `logits` [N,K]
 *   and in its weights whatever a step before this one remembered
 * @throws GraphError when there is no such output
 */
export function trainingStep(net: Net, rules: StepRules): TrainingStep {
  const frozen = (node: string): boolean => isFrozen(rules.freeze, layerOf(node));
  // What does not learn need not run branch by branch.
  const fused = rules.freeze === 'none' ? net : reparameterize(net, { only: ({ name }) => frozen(name) });
  const graph = trainingStepGraph(fused.graph, rules);
  return { graph, weights: initialState(graph, new Map([...net.weights, ...fused.weights])) };
}

function trainingStepGraph(net: CheckedGraph, rules: StepRules): CheckedGraph {
  const learning = trainNorms(net, { frozen: (name) => isFrozen(rules.freeze, layerOf(name)) });
  const { mergeBranches: merged } = rules;
  const graph = mergeBranches(learning, merged === 'paying' ? {} : { choose: merged });
  const logits = graph.outputs.find(({ name }) => name === 'logits')?.value;
  if (logits === undefined)
    throw new GraphError(`training step of "${net.name}": needs an output "logits" [N,K].`);
  const b = graphBuilder(`${net.name}, training step`, graph);
  const targets = b.input(targetsInput, valueAt(graph, logits).shape);
  const loss = distilled(b, rules, logits, lossOf(b, rules.loss, logits, targets));
  b.output('loss', loss);
  return withUpdates(b.finish(), loss, rules);
}

function lossOf(
  b: GraphBuilder,
  { kind, smoothing }: Recipe['loss'],
  logits: ValueId,
  targets: ValueId,
): ValueId {
  if (kind === 'crossEntropy') return b.node('crossEntropy', 'loss.labels', { smoothing }, [logits, targets]);
  const smooth = smoothing === 0 ? targets : smoothed(b, targets, smoothing);
  return b.node('binaryCrossEntropy', 'loss.labels', {}, [logits, smooth]);
}

/** (1 − s)·t + s/K */
function smoothed(b: GraphBuilder, targets: ValueId, smoothing: number): ValueId {
  const shape = b.shape(targets);
  const kept = b.node('scale', 'targets.kept', { factor: 1 - smoothing }, [targets]);
  const uniform = b.node(
    'constant',
    'targets.uniform',
    { shape, value: smoothing / (shape.at(-1) ?? 1) },
    [],
  );
  return b.node('sum', 'targets.smoothed', {}, [kept, uniform]);
}

/**
 * (1 − s)·loss + s·T²·crossEntropy(logits/T, teacher): T² keeps the gradients of both of one size.
 * @see Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, arXiv 1503.02531
 */
function distilled(b: GraphBuilder, rules: StepRules, logits: ValueId, loss: ValueId): ValueId {
  if (rules.distill === null) return loss;
  const { share, temperature } = rules.distill;
  const teacher = b.input(teacherInput, b.shape(logits));
  const soft = b.node('scale', 'logits.soft', { factor: 1 / temperature }, [logits]);
  const matching = b.node('crossEntropy', 'loss.teacher', { smoothing: 0 }, [soft, teacher]);
  const parts = [
    b.node('scale', 'loss.labels.share', { factor: 1 - share }, [loss]),
    b.node('scale', 'loss.teacher.share', { factor: share * temperature ** 2 }, [matching]),
  ];
  return b.node('sum', 'loss', {}, parts);
}

export interface Rates {
  readonly rate: number;
  readonly decay: number;
  /** Momentum of the average; 0 without one. */
  readonly average: number;
}

/** What the schedules of a recipe say at a moment. */
export function ratesAt(recipe: Recipe, moment: Moment): Rates {
  return {
    rate: scheduled(rateSchedule(recipe), moment),
    decay: scheduled(recipe.decay, moment),
    average: recipe.average ? averageMomentum(recipe.average, moment.step) : 0,
  };
}

/** The step's inputs that schedules decide. */
export function stepInputs(recipe: Recipe, moment: Moment): Readonly<Record<string, Tensor>> {
  const { rate, decay, average } = ratesAt(recipe, moment);
  const { optimizer } = recipe;
  const taken = moment.step + 1;
  const rates =
    optimizer.kind === 'sgd'
      ? [rate, decay]
      : [rate, decay, 1 - optimizer.beta1 ** taken, 1 - optimizer.beta2 ** taken];
  return {
    [rateInput]: { shape: [rates.length], data: Float32Array.from(rates) },
    ...(recipe.average ? { [averageInput]: { shape: [1], data: Float32Array.of(average) } } : {}),
  };
}
