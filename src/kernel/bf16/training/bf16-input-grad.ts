/** dx of 1×1 convolutions at stride 1 as rows of dy·W of bf16 factors, with what is done to dx before it is written. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import {
  convGradientSizes,
  derivativeOf,
  type InputGradRow,
  type InputGradTask,
  residualOf,
  termsOf,
} from '../../convolution/conv-gradient-row.ts';
import { patchesAreInput } from '../../convolution/patches.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import { paysInBf16 } from './bf16-gemm.ts';
import { planBf16Rows } from './bf16-rows.ts';

function sizesOf(task: InputGradTask) {
  const { images, outHeight, outWidth, inChannels, outChannels } = convGradientSizes(task);
  return { m: images * outHeight * outWidth, n: inChannels, k: outChannels };
}

function planBf16InputGrad(target: VectorTarget, task: InputGradTask): TaskPlan {
  const { m, n, k } = sizesOf(task);
  return planBf16Rows(target, {
    ...{ m, n, k, aRow: k * 4, bRow: n * 4, cRow: n * 4, transposeB: false, activation: null, past: true },
    residual: residualOf(task),
    derivative: derivativeOf(task),
  });
}

/** 1×1 at stride 1, one group, with factors in bf16. */
export const bf16InputGradRow: InputGradRow = {
  name: 'bf16 pointwise',
  applies: (task) => {
    const sizes = convGradientSizes(task);
    const pointwise = sizes.groups === 1 && patchesAreInput(sizes);
    return pointwise && termsOf(task).join() === 'window' && paysInBf16(sizesOf(task));
  },
  plan: planBf16InputGrad,
};
