/** Convolutions by weights that a run computes, as products whose factors are rounded to bf16 on their way. */
import type { VectorTarget } from '../assembler/vector-assembler.ts';
import { hasBf16Products, paysInBf16 } from './bf16-gemm.ts';
import { planBf16Rows } from './bf16-rows.ts';
import { type ComputedConvTask, convSizes } from './convolution-row.ts';
import type { TaskPlan } from './plan.ts';
import { isPointwise } from './pointwise.ts';
import { renameTiles } from './rename-buffers.ts';

/** Whether it is such a product: 1×1 at stride 1, large enough, and the target has bf16 products. */
export function roundsFactors(target: VectorTarget, task: ComputedConvTask): boolean {
  const { images, height, width, inChannels, outChannels } = convSizes(task);
  const sizes = { m: images * height * width, n: outChannels, k: inChannels };
  return hasBf16Products(target) && isPointwise(task) && paysInBf16(sizes);
}

/** Buffers as for `planConvolution`. */
export function planComputedProduct(target: VectorTarget, task: ComputedConvTask): TaskPlan {
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
