import { UsageError } from '../../errors.ts';
import { deriveSeed } from '../../tensor/random.ts';
import { drawScene } from './draw-scene.ts';
import type { Scene, SceneOptions } from './scene.ts';
import { shapeKinds } from './shapes.ts';

export interface ProceduralOptions extends Omit<SceneOptions, 'seed' | 'label'> {
  readonly count: number;
  readonly seed: number;
}

/** A set of scenes, drawn when asked for. Sets of different seeds have nothing in common. */
export interface ProceduralSet {
  readonly classNames: readonly string[];
  readonly length: number;
  /** @param index below `length`; the first objects take the labels in turn, so that classes are balanced */
  readonly scene: (index: number) => Scene;
}

/** @throws UsageError when the count is no whole number, or for an index outside the set */
export function proceduralSet(options: ProceduralOptions): ProceduralSet {
  const { count, seed, kinds = shapeKinds, ...rest } = options;
  if (!Number.isSafeInteger(count) || count < 0)
    throw new UsageError(`proceduralSet: count must be a whole number, found ${count}.`);
  return {
    classNames: kinds,
    length: count,
    scene: (index) => {
      if (!Number.isSafeInteger(index) || index < 0 || index >= count)
        throw new UsageError(`proceduralSet: index ${index} is outside the ${count} scenes.`);
      return drawScene({ ...rest, kinds, seed: deriveSeed(seed, index), label: index % kinds.length });
    },
  };
}
