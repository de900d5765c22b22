import { imagenetClasses } from '../hub/labels/class-names.ts';
import type { ModelEntry } from '../hub/models.ts';
import { type EvalTransform, type evalTransforms, resolveEvalTransform } from '../image/eval-transform.ts';
import type { CheckpointNet } from './read-net.ts';

type Origin = Pick<CheckpointNet, 'family' | 'config' | 'metadata'>;

/** The transform a checkpoint states, else the one its publisher evaluates with. */
export function defaultTransform(net: Origin, entry: ModelEntry | undefined): EvalTransform {
  return net.metadata.transform ?? resolveEvalTransform(familyTransform(net, entry));
}

/** Each family evaluates its own way; timm resizes S1–S4 to 248 where S0 is resized to 256. */
function familyTransform(net: Origin, entry: ModelEntry | undefined): keyof typeof evalTransforms {
  if (entry) return entry.transform;
  if (net.family === 'mobileone') return 'apple';
  if (net.family === 'timm') return net.config.name === 'mobileone-s0' ? 'timm-s0' : 'timm';
  return net.family;
}

/** Class names a checkpoint states or its publisher used, or undefined when nothing says what the classes are. */
export function knownLabels(net: Origin, entry: ModelEntry | undefined): readonly string[] | undefined {
  if (net.metadata.labels) return net.metadata.labels;
  return entry && net.config.classes === 1000 ? imagenetNames(entry) : undefined;
}

/** `knownLabels`, else ImageNet-1k's names when there are 1000 classes, else `class 0`, `class 1`, … */
export function defaultLabels(net: Origin, entry: ModelEntry | undefined): readonly string[] {
  const { classes } = net.config;
  const known = knownLabels(net, entry);
  if (known) return known;
  if (classes === 1000) return imagenetNames(entry);
  return Array.from({ length: classes }, (_, i) => `class ${i}`);
}

function imagenetNames(entry: ModelEntry | undefined): readonly string[] {
  return imagenetClasses().map((row) => (entry?.family === 'mmpretrain' ? row.fullName : row.shortName));
}
