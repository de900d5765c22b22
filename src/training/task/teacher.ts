import type { CompileOptions, Engine } from '../../engine/engine.ts';
import { UsageError } from '../../errors.ts';
import type { Form } from '../../model/block.ts';
import type { MobileOneConfig } from '../../model/config.ts';
import { buildMobileOne, inputName } from '../../model/mobileone.ts';
import type { Tensor, Weights } from '../../tensor/tensor.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import type { ClassifyConfig } from '../recipe/run-config.ts';

/** A net whose answers are learned too. It sees the pictures as the learner does. */
export interface Teacher {
  readonly config: MobileOneConfig;
  readonly form: Form;
  readonly weights: Weights;
}

export interface CompiledTeacher {
  /** Probabilities [N,K] of softmax(logits / temperature) for images [N,S,S,3]. */
  readonly probabilities: (images: Tensor) => Promise<Tensor>;
  readonly dispose: () => void;
}

export interface TeacherOptions {
  readonly engine: Engine;
  readonly compile?: CompileOptions;
  readonly config: ClassifyConfig;
  readonly teacher?: Teacher;
}

/** @throws UsageError when there is none, or it has other classes */
export async function compileTeacher(
  { engine, compile, config, teacher }: TeacherOptions,
  { batch, size }: { readonly batch: number; readonly size: number },
): Promise<CompiledTeacher> {
  if (teacher?.config.classes !== config.model.classes)
    throw new UsageError(
      `train: the recipe distills, so it needs a teacher with ${config.model.classes} classes; found ${teacher ? `one with ${teacher.config.classes}` : 'none'}.`,
    );
  const graph = buildMobileOne(teacher.config, { form: teacher.form, batch, height: size, width: size });
  const net = reparameterize({ graph, weights: teacher.weights });
  const session = await engine.compile(net.graph, net.weights, compile);
  const temperature = config.recipe.distill?.temperature ?? 1;
  return {
    probabilities: async (images) => {
      const { logits } = await session.run({ [inputName]: images });
      return softened(logits ?? { shape: [batch, 0], data: new Float32Array(0) }, temperature);
    },
    dispose: session.dispose,
  };
}

/** softmax(logits / temperature), row by row. */
function softened({ shape, data }: Tensor, temperature: number): Tensor {
  const classes = shape.at(-1) ?? 1;
  const result = new Float32Array(data.length);
  for (let start = 0; start < data.length; start += classes) {
    const row = Array.from(data.subarray(start, start + classes), (x) => x / temperature);
    const most = Math.max(...row);
    const powers = row.map((x) => Math.exp(x - most));
    const total = powers.reduce((sum, x) => sum + x, 0);
    powers.forEach((x, i) => {
      result[start + i] = x / total;
    });
  }
  return { shape, data: result };
}
