/** A net, pictures and a recipe so small that the reference engine trains them in a moment. */
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { createRandom } from '../../src/tensor/random.ts';
import type { Tensor, Weights } from '../../src/tensor/tensor.ts';
import type { TrainingData } from '../../src/training/batches/training-data.ts';
import { checkRecipe, type Recipe } from '../../src/training/recipe/recipe.ts';
import { namedRecipe } from '../../src/training/recipe/recipes.ts';
import type { ClassifyConfig } from '../../src/training/recipe/run-config.ts';

const classes = 2;
const [trainCount, validationCount] = [10, 5];
const batch = 4;

export const tinyModel = mobileOneConfig('s0', {
  widths: [0.0625, 0.03125, 0.015625, 0.0078125],
  pairs: [1, 1, 1, 1],
  branches: 1,
  classes,
});

export function tinyConfig(over: Partial<Recipe> = {}): ClassifyConfig {
  const small = namedRecipe('small', 's0');
  const recipe = checkRecipe({
    ...small,
    epochs: 6,
    batch,
    rateForBatch: batch,
    rate: { ...small.rate, base: 0.05, warmUp: { unit: 'epochs', length: 1, start: 0.1 } },
    phases: [
      { epoch: 0, size: 32, strength: 0 },
      { epoch: 4, size: 40, strength: 1 },
    ],
    evaluation: { size: 40, resize: 40 },
    ...over,
  });
  return {
    version: 1,
    name: 'tiny',
    model: tinyModel,
    form: 'train',
    labels: ['dark', 'bright'],
    transform: {
      resize: { kind: 'shortest', size: 40 },
      crop: { width: 40, height: 40 },
      interpolation: 'bilinear',
      scale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
    recipe,
    data: { name: 'synthetic', train: trainCount, validation: validationCount, holdOut: null },
    from: null,
  };
}

export function tinyWeights(seed = 1, model = tinyModel): Weights {
  return initialWeights(buildMobileOne(model, { form: 'train', height: 40, width: 40 }), 'timm', seed);
}

/** Noise that is darker or brighter; every picture depends on its number, epoch and size alone. */
function picture(seed: number, label: number, size: number): Float32Array {
  const { normal } = createRandom(seed);
  return Float32Array.from({ length: 3 * size * size }, () => 0.5 * normal() + (label === 0 ? -0.5 : 0.5));
}

function stacked(size: number, pictures: readonly Float32Array[]): Tensor<Float32Array> {
  const data = new Float32Array(pictures.length * 3 * size * size);
  pictures.forEach((one, i) => {
    data.set(one, i * one.length);
  });
  return { shape: [pictures.length, size, size, 3], data };
}

/** @param wait before each batch, such as a turn of the event loop */
export function tinyData(wait: () => Promise<void> = async () => undefined): TrainingData {
  return {
    classes,
    trainCount,
    validationCount,
    trainBatches: async function* ({ epoch, from, batch: count, size }) {
      for (let index = from; (index + 1) * count <= trainCount; index++) {
        await wait();
        const numbers = Array.from({ length: count }, (_, i) => (index * count + i + epoch) % trainCount);
        const images = stacked(
          size,
          numbers.map((n) => picture(1000 * epoch + n, n % classes, size)),
        );
        const targets = Float32Array.from(numbers.flatMap((n) => (n % classes === 0 ? [1, 0] : [0, 1])));
        yield { images, targets: { shape: [count, classes], data: targets } };
      }
    },
    validationBatches: async function* ({ batch: count, size }) {
      for (let start = 0; start < validationCount; start += count) {
        const numbers = Array.from({ length: count }, (_, i) => start + i);
        const images = stacked(
          size,
          numbers.map((n) => picture(77 + n, n % classes, size)),
        );
        const indices = numbers.map((n) => (n < validationCount ? n : -1));
        yield { images: images.data, indices };
      }
    },
    labelOf: (index) => index % classes,
  };
}
