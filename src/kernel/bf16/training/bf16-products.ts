/** Products of what a run computes with factors rounded to bf16; among them convolutions by such weights. */
import type { VectorTarget } from '../../../assembler/vector-assembler.ts';
import { type ComputedConvTask, convSizes } from '../../convolution/convolution-row.ts';
import { isPointwise } from '../../convolution/pointwise.ts';
import type { RoundedProducts } from '../../convolution/rounded-products.ts';
import type { TaskPlan } from '../../plan/plan.ts';
import { renameTiles } from '../../plan/rename-buffers.ts';
import { bf16GemmRows, hasBf16Products, paysInBf16, sumsPayInBf16 } from './bf16-gemm.ts';
import { bf16InputGradRow } from './bf16-input-grad.ts';
import { planBf16Rows } from './bf16-rows.ts';

/** Whether it is such a product, 1×1 at stride 1, and large enough. */
function paysRounded(task: ComputedConvTask): boolean {
  const { images, height, width, inChannels, outChannels } = convSizes(task);
  const sizes = { m: images * height * width, n: outChannels, k: inChannels };
  return isPointwise(task) && paysInBf16(sizes);
}

function planComputedProduct(target: VectorTarget, task: ComputedConvTask): TaskPlan {
  const { images, height, width, inChannels, outChannels } = convSizes(task);
  const { weight, bias, activation } = task;
  const plan = planBf16Rows(target, {
    ...{ m: images * height * width, n: outChannels, k: inChannels, transposeB: true, activation },
    ...{ aRow: inChannels * 4, bRow: inChannels * 4, cRow: outChannels * 4 },
    bias: bias && { buffer: bias.buffer, offset: 0 },
    residual: task.residual ? { buffer: 'input1', offset: 0 } : undefined,
    past: images > 1,
  });
  const [packed = [], ...steps] = plan.steps;
  return {
    ...plan,
    steps: [renameTiles(packed, { input1: { buffer: weight.buffer, offset: 0 } }), ...steps],
  };
}

export const bf16Products: RoundedProducts = {
  applies: hasBf16Products,
  gemm: (target, task) => bf16GemmRows.find(({ can, pays }) => can(task) && pays(task))?.plan(target, task),
  paysForSums: sumsPayInBf16,
  inputGrad: bf16InputGradRow,
  convolution: (target, task) => (paysRounded(task) ? planComputedProduct(target, task) : undefined),
};
