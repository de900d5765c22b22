import type { DetectPictures } from '../../data/loader/batch.ts';
import { type AnchorStyle, anchorBoxes } from '../../detection/anchors.ts';
import { ssdAssignRule } from '../../detection/assign.ts';
import { buildHeadNet, type HeadGraph } from '../../task/head-net.ts';
import { detectorStyles } from '../../task/task-head.ts';
import type { TrainRequest } from '../batches/training-data.ts';
import type { DetectConfig } from '../recipe/run-config.ts';
import type { StepShape } from './learning-task.ts';

/** The net as it learns. */
export function detectNet(
  { head, model, form, labels }: DetectConfig,
  { batch, size }: StepShape,
): HeadGraph {
  return buildHeadNet(head, model, labels.length, { form, batch, height: size, width: size });
}

/** How pictures of a size and strength are made; the same object for the same, so that epochs may overlap. */
export function detectPictures(config: DetectConfig) {
  const { recipe, transform, head, labels } = config;
  const { coder, background } = detectorStyles[head.style];
  const { iou, leastAnchors } = recipe.loss;
  const assign = { ...ssdAssignRule, iou, forced: leastAnchors };
  const targets = { assign, coder, background: background(labels.length) };
  const known = new Map<string, DetectPictures>();
  return ({ size, strength }: Pick<TrainRequest, 'size' | 'strength'>): DetectPictures => {
    const key = `${size} ${strength}`;
    const found = known.get(key);
    if (found) return found;
    const { maps } = detectNet(config, { batch: 1, size });
    const { width, height } = recipe.evaluation;
    const style = scaledAnchors(head.anchors, size / Math.min(width, height));
    const made: DetectPictures = {
      kind: 'detect',
      augmentation: recipe.augment,
      interpolation: transform.interpolation,
      normalization: transform,
      anchors: anchorBoxes(style, maps, [size, size]),
      targets,
      size,
      strength,
    };
    known.set(key, made);
    return made;
  };
}

export type DetectPicturesOf = ReturnType<typeof detectPictures>;

/** Smaller pictures have smaller objects. */
function scaledAnchors({ levels, clip }: AnchorStyle, by: number): AnchorStyle {
  if (by === 1) return { levels, clip };
  return {
    clip,
    levels: levels.map((level) => {
      const stride = level.stride === undefined ? {} : { stride: level.stride * by };
      if ('shapes' in level)
        return { shapes: level.shapes.map(([w, h]) => [w * by, h * by] as const), ...stride };
      const [size, between] = level.sizes;
      return { sizes: [size * by, between * by], ratios: level.ratios, ...stride };
    }),
  };
}
