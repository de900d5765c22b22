import type { CompileOptions, Engine } from '../engine/engine.ts';
import { type ClassificationMetrics, classificationMeter } from '../metrics/classification.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { buildMobileOne, inputName } from '../model/mobileone.ts';
import type { Weights } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import type { TrainingData } from './training-data.ts';

export interface EvaluationOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions;
  readonly batch: number;
  /** Side of the pictures, and their short side before the crop. */
  readonly size: number;
  readonly resize: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of every picture: its number, its class and the probabilities of all classes. */
  readonly onAnswer?: (index: number, label: number, probabilities: Float32Array) => void;
}

export interface WeightedNet {
  readonly config: MobileOneConfig;
  readonly form: Form;
  readonly weights: Weights;
}

/** How well a net answers on the validation pictures, in deploy form. @throws the signal's reason */
export async function evaluateNet(
  net: WeightedNet,
  data: TrainingData,
  options: EvaluationOptions,
): Promise<ClassificationMetrics> {
  const { size, resize } = options;
  const batch = Math.max(1, Math.min(options.batch, data.validationCount));
  const graph = buildMobileOne(net.config, {
    form: net.form,
    batch,
    height: size,
    width: size,
    outputs: ['probabilities'],
  });
  const deploy = reparameterize({ graph, weights: net.weights });
  const session = await options.engine.compile(deploy.graph, deploy.weights, options.compile);
  const meter = classificationMeter(data.classes);
  try {
    for await (const { images, labels, indices, release } of data.validationBatches({
      batch,
      size,
      resize,
    })) {
      options.signal?.throwIfAborted();
      const { probabilities } = await session.run({ [inputName]: images });
      release?.();
      const all = Float32Array.from(probabilities?.data ?? []);
      for (const [row, label] of labels.entries()) {
        if (label < 0) continue;
        const answer = all.subarray(row * data.classes, (row + 1) * data.classes);
        meter.add(answer, label);
        options.onAnswer?.(indices[row] ?? -1, label, answer);
      }
    }
  } finally {
    session.dispose();
  }
  return meter.result();
}
