import type { ActivationName, OutputActivation } from '../activations.ts';
import type { ConvGeometry, WindowGeometry } from '../geometry.ts';

export type NoAttrs = Readonly<Record<never, never>>;
/** The ops of nets. Activations are NHWC; parameters keep the checkpoints' layouts (convolution OIHW, linear [out, in]). */
export interface NetOpAttrs {
  /** x [N,H,W,C], weight [O,C/groups,kH,kW], bias? [O] → [N,H',W',O] */
  conv2d: { readonly geometry: ConvGeometry };
  /** x [N,…,C], gamma, beta, mean, variance [C] → (x − mean)·gamma/√(variance + eps) + beta, over the last axis */
  batchNorm: { readonly eps: number };
  /** one or more equal shapes → their sum; the end of a MobileOne block's branches */
  sum: NoAttrs;
  /** x [N,H,W,C], y of the same shape or [N,1,1,C] → x·y */
  multiply: NoAttrs;
  /** any shape → the named function of every element */
  activation: { readonly fn: ActivationName };
  /** x [N,H,W,C] → [N,1,1,C] */
  globalAveragePool: NoAttrs;
  /** x [N,H,W,C] → [N,H',W',C]; max ignores padding, average divides by kH·kW (countPadding) or by the inputs read */
  pool2d: {
    readonly mode: 'max' | 'average';
    readonly window: WindowGeometry;
    readonly countPadding: boolean;
  };
  /** x [N,…] → [N, rest] */
  flatten: NoAttrs;
  /** x [N,I], weight [O,I], bias? [O] → [N,O] */
  linear: NoAttrs;
  /** softmax over the last axis */
  softmax: NoAttrs;
  /** x [N,H,W,C] → [N,height,width,C], PyTorch's two conventions for where samples lie */
  resizeBilinear: { readonly height: number; readonly width: number; readonly alignCorners: boolean };
  /** one or more [N,H,W,Ci] → [N,H,W,ΣCi] */
  concat: NoAttrs;
}

export interface SsdLossAttrs {
  /** Background included. */
  readonly classes: number;
  readonly background: number;
  /** Anchors without an object that count, for each that has one. */
  readonly negatives: number;
}

/**
 * The ops that training adds: backward passes, batch norms that measure their own statistics, merged branches, losses
 * and updates. `d<name>` is the cotangent of <name>, of its shape. Vectors are [C], one number per channel.
 */
export interface TrainingOpAttrs {
  /** dy [N,H',W',O], weight [O,C/groups,kH,kW] → dx [N,height,width,C] */
  conv2dInputGrad: { readonly geometry: ConvGeometry; readonly height: number; readonly width: number };
  /** x [N,H,W,C], dy [N,H',W',O] → dweight [O,C/groups,kH,kW] */
  conv2dWeightGrad: { readonly geometry: ConvGeometry };
  /** op(a) [M,K], op(b) [K,N] → [M,N]; op transposes where asked */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };
  /** x [N,…,C] → [C], summed over all but the last axis */
  channelSum: NoAttrs;
  /** any shape → the same numbers in another shape of as many */
  reshape: { readonly shape: readonly number[] };
  /** nothing → the same number everywhere */
  constant: { readonly shape: readonly number[]; readonly value: number };
  /** any shape → factor·x */
  scale: { readonly factor: number };
  /** x [N,H,W,C] → channels start … start + count − 1 */
  sliceChannels: { readonly start: number; readonly count: number };
  /**
   * The end of a block while it trains: (x, gamma, beta) × n → y = fn(Σ batchNorm_i(x_i)) with the batch's own
   * statistics, then (mean, variance) × n, variance biased (divided by the number of positions).
   */
  normSum: { readonly eps: number; readonly fn: OutputActivation | null };
  /**
   * dy, (x, gamma, mean, variance) × n, and y if there is a fn → dbeta (equal for all), then (dx, dgamma) × n.
   * With `batch` statistics dx flows through mean and variance too, with `fixed` ones it does not.
   */
  normSumGrad: {
    readonly eps: number;
    readonly fn: OutputActivation | null;
    readonly statistics: 'batch' | 'fixed';
  };
  /** dy, x → dy·fn′(x); for an output activation x may also be its value, which lies between the same kinks */
  activationGrad: { readonly fn: ActivationName };
  /** x, y [N,H,W,C] → [N,1,1,C], Σ x·y over rows and columns */
  spatialDot: NoAttrs;
  /** dy [N,1,1,C] → dx [N,height,width,C] */
  globalAveragePoolGrad: { readonly height: number; readonly width: number };
  /** dy [N,H',W',C], x [N,H,W,C] → dx [N,H,W,C]; a maximum's goes to the first input that has it */
  pool2dGrad: NetOpAttrs['pool2d'];
  /** dy [N,H',W',C] → dx [N,height,width,C] */
  resizeBilinearGrad: { readonly height: number; readonly width: number; readonly alignCorners: boolean };
  /** dy, y = softmax(x) → dx */
  softmaxGrad: NoAttrs;
  /**
   * Moments of the patches p that a convolution reads, per group, over all positions of a batch, padding counting as
   * zeros. x [N,H,W,C] → mean [groups, P], covariance [groups, P, P] (biased), P = C/groups·kH·kW in OIHW's order.
   */
  patchMoments: { readonly geometry: ConvGeometry };
  /** x, mean, dmean, dcovariance (symmetric) → dx [N,H,W,C] */
  patchMomentsGrad: { readonly geometry: ConvGeometry };
  /**
   * Branches conv → batch norm as one convolution, exactly as if each had measured its batch: mean, covariance (of
   * patches), (weight, gamma, beta) × n and, with `skip`, (gamma, beta) → weight [O,C/groups,kH,kW], bias [O], then
   * (mean, variance) of each branch, the skip's last, then weight·covariance [O,P] of each weight. A weight has the
   * geometry's kernel, or is 1×1 and sits at its centre.
   */
  mergeBranches: { readonly geometry: ConvGeometry; readonly eps: number; readonly skip: boolean };
  /**
   * mean (of patches), (weight, gamma, weight·covariance) × n and, with `skip`, gamma; then (mean, variance) of each
   * branch; then dweight, dbias → dmean, dcovariance (symmetric), (dweight, dgamma) × n and, with `skip`, dgamma.
   * Every dbeta is dbias.
   */
  mergeBranchesGrad: { readonly geometry: ConvGeometry; readonly eps: number; readonly skip: boolean };
  /**
   * logits, targets […,K] → loss [1]. Targets are distributions over the last axis, mixed with the uniform one by
   * `smoothing`; a row of zeros is left out. Mean over rows, weighted by the sum of each row's targets.
   */
  crossEntropy: { readonly smoothing: number };
  /** logits, targets, dloss [1] → dlogits */
  crossEntropyGrad: { readonly smoothing: number };
  /** logits, targets (each 0 … 1) of one shape → loss [1], mean over all elements */
  binaryCrossEntropy: NoAttrs;
  /** logits, targets, dloss [1] → dlogits */
  binaryCrossEntropyGrad: NoAttrs;
  /**
   * labels [N,A], offsets [N,A,4], (scores [N,…], boxes [N,…]) × feature maps → loss [1] = classes + boxes, classes [1],
   * boxes [1]. A map of a anchors has N·a·classes scores and N·a·4 offsets; the maps' anchors, one after the other, are
   * the A of the labels. @see ssdLoss
   */
  ssdLoss: SsdLossAttrs;
  /** labels, offsets, (scores, boxes) × maps, dloss [1] → (dscores, dboxes) × maps */
  ssdLossGrad: SsdLossAttrs;
  /** average, value, rate [1] unless given here → average + rate·(factor·value − average) */
  lerp: { readonly rate: number | null; readonly factor: number };
  /** gradients of any shapes → factor [1] = min(1, maxNorm/(norm + 1e-6)), norm [1] of all together */
  clipFactor: { readonly maxNorm: number };
  /**
   * parameter, gradient, velocity, rates [2] = (learning rate, weight decay), factor? [1] of gradients → parameter,
   * velocity, as PyTorch's SGD: v ← momentum·v + g + decay·p; p ← p − rate·(nesterov ? g + momentum·v : v).
   */
  sgd: {
    readonly momentum: number;
    readonly nesterov: boolean;
    readonly rateScale: number;
    readonly decayScale: number;
  };
  /**
   * parameter, gradient, first, second, rates [4] = (learning rate, weight decay, 1 − beta1^t, 1 − beta2^t), factor?
   * [1] of gradients → parameter, first, second, as PyTorch's AdamW.
   */
  adamw: {
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    readonly rateScale: number;
    readonly decayScale: number;
  };
}

export interface OpAttrs extends NetOpAttrs, TrainingOpAttrs {}
