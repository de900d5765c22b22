import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import type { ConvGeometry } from '../../graph/geometry.ts';
import type { Shape } from '../../tensor/tensor.ts';
import type { RoundedProducts } from '../convolution/rounded-products.ts';
import type { TaskPlan } from '../plan/plan.ts';
import { type PatchLayout, patchLayout } from './patch-layout.ts';
import { planDenseMoments } from './patch-moments-dense.ts';
import { planDenseMomentsGrad } from './patch-moments-grad-dense.ts';
import { planLoneMomentsGrad } from './patch-moments-grad-lone.ts';
import { planLoneMoments } from './patch-moments-lone.ts';

/**
 * Mean and covariance of the patches that a convolution reads. Buffers: `input0` x [N,H,W,C], `output` mean
 * [groups,P], `output1` covariance [groups,P,P], in OIHW's order.
 */
export function planPatchMoments(
  target: VectorTarget,
  input: Shape,
  geometry: ConvGeometry,
  rounded?: RoundedProducts,
): TaskPlan {
  const patches = patchLayout(input, geometry);
  return isLone(patches) ? planLoneMoments(target, patches) : planDenseMoments(target, patches, rounded);
}

/**
 * dx of `planPatchMoments`. Buffers: `input0` x, `input1` mean, `input2` dmean, `input3` dcovariance (symmetric),
 * `output` dx [N,H,W,C].
 */
export function planPatchMomentsGrad(
  target: VectorTarget,
  input: Shape,
  geometry: ConvGeometry,
  rounded?: RoundedProducts,
): TaskPlan {
  const patches = patchLayout(input, geometry);
  return isLone(patches)
    ? planLoneMomentsGrad(target, patches)
    : planDenseMomentsGrad(target, { input, geometry, rounded }, patches);
}

/** Each group is one channel. */
function isLone({ inner, groups }: PatchLayout): boolean {
  return inner === 1 && groups > 1;
}
