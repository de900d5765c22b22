import type { SegmentPictures } from '../../data/loader/batch.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import type { JointData } from '../batches/joint-data.ts';
import type { TrainRequest } from '../batches/training-data.ts';
import type { SegmentConfig } from '../recipe/run-config.ts';

export interface SegmentSources {
  readonly data: JointData;
  /** Of validation pictures for the report. */
  readonly decoder: ImageDecoder;
}

/** How pictures of a size and strength are made; the same object for the same, so that epochs may overlap. */
export function segmentPictures({ recipe, transform, classWeights }: SegmentConfig) {
  const known = new Map<string, SegmentPictures>();
  return ({ size, strength }: Pick<TrainRequest, 'size' | 'strength'>): SegmentPictures => {
    const key = `${size} ${strength}`;
    const found = known.get(key) ?? {
      kind: 'segment',
      augmentation: recipe.augment,
      interpolation: transform.interpolation,
      normalization: transform,
      ...(classWeights ? { weights: classWeights } : {}),
      size,
      strength,
    };
    known.set(key, found);
    return found;
  };
}

export type PicturesOf = ReturnType<typeof segmentPictures>;
