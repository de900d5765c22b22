import { GraphError } from '../../errors.ts';
import type { GraphBuilder } from '../../graph/builder.ts';
import type { ValueId } from '../../graph/graph.ts';
import type { Net } from '../../graph/net.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type AddLoss, type LearningRules, learningStep, type TrainingStep } from './learning-step.ts';

export const targetsInput = 'targets';
export const teacherInput = 'teacher';

type LossRules = Pick<Recipe, 'loss' | 'distill'>;
export type StepRules = LearningRules & LossRules;

/**
 * One step of learning to classify. Inputs: images [N,H,W,C], `targets` [N,K] (distributions over the classes) and,
 * with distillation, `teacher` [N,K] (the teacher's probabilities at the recipe's temperature). Outputs: `loss`,
 * `logits` [N,K].
 * @param net with one output `logits` [N,K]
 * @throws GraphError when there is no such output
 */
export function trainingStep(net: Net, rules: StepRules): TrainingStep {
  return learningStep(net, rules, classifyLoss(rules));
}

export function classifyLoss(rules: LossRules): AddLoss {
  return (b, outputs) => {
    const logits = outputs.get('logits');
    if (logits === undefined) throw new GraphError('training step: needs an output "logits" [N,K].');
    const targets = b.input(targetsInput, b.shape(logits));
    return distilled(b, rules, logits, lossOf(b, rules.loss, logits, targets));
  };
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
function distilled(b: GraphBuilder, rules: LossRules, logits: ValueId, loss: ValueId): ValueId {
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
