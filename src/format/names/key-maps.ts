/**
 * How five programs name the same tensors, as data. `{b}` is the branch number; a norm is given by its prefix.
 * Stages count from `stage.first` in a family, from 0 here.
 */
export interface KeyMap {
  /** For messages. */
  readonly title: string;
  readonly stem: string;
  readonly stage: { readonly prefix: string; readonly first: number };
  readonly head: string;
  readonly conv: { readonly weight: string; readonly norm: string };
  readonly scale: { readonly weight: string; readonly norm: string };
  readonly skip: { readonly norm: string };
  readonly squeeze: string;
  readonly excite: string;
  /** The one convolution of the deploy form; empty when it is the block itself. */
  readonly fused: string;
  /** The order in which a block's tensors are written. */
  readonly order: readonly Slot[];
  readonly normTensors: readonly (readonly [role: Role, name: string])[];
}

export type Slot = 'conv' | 'scale' | 'skip' | 'squeeze' | 'excite' | 'fused' | 'head';
/** `tracked` is PyTorch's count of batches seen: an i64 scalar that no formula here uses. */
export type Role = 'weight' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance' | 'tracked';
export type Family = 'apple' | 'mmpretrain' | 'timm' | 'corenet' | 'mobileone';

const torchNorm = [
  ['gamma', 'weight'],
  ['beta', 'bias'],
  ['mean', 'running_mean'],
  ['variance', 'running_var'],
  ['tracked', 'num_batches_tracked'],
] as const;

export const keyMaps: { readonly [F in Family]: KeyMap } = {
  apple: {
    title: "Apple's ml-mobileone",
    stem: 'stage0',
    stage: { prefix: 'stage', first: 1 },
    head: 'linear',
    conv: { weight: 'rbr_conv.{b}.conv.weight', norm: 'rbr_conv.{b}.bn' },
    scale: { weight: 'rbr_scale.conv.weight', norm: 'rbr_scale.bn' },
    skip: { norm: 'rbr_skip' },
    squeeze: 'se.reduce',
    excite: 'se.expand',
    fused: 'reparam_conv',
    order: ['squeeze', 'excite', 'skip', 'conv', 'scale', 'fused'],
    normTensors: torchNorm,
  },
  mmpretrain: {
    title: 'mmpretrain',
    stem: 'backbone.stage0',
    stage: { prefix: 'backbone.stage', first: 1 },
    head: 'head.fc',
    conv: { weight: 'branch_conv_list.{b}.conv.weight', norm: 'branch_conv_list.{b}.norm' },
    scale: { weight: 'branch_scale.conv.weight', norm: 'branch_scale.norm' },
    skip: { norm: 'branch_norm' },
    squeeze: 'se.conv1.conv',
    excite: 'se.conv2.conv',
    fused: 'branch_reparam',
    order: ['squeeze', 'excite', 'skip', 'scale', 'conv', 'fused'],
    normTensors: torchNorm,
  },
  timm: {
    title: 'timm',
    stem: 'stem',
    stage: { prefix: 'stages.', first: 0 },
    head: 'head.fc',
    conv: { weight: 'conv_kxk.{b}.conv.weight', norm: 'conv_kxk.{b}.bn' },
    scale: { weight: 'conv_scale.conv.weight', norm: 'conv_scale.bn' },
    skip: { norm: 'identity' },
    squeeze: 'attn.fc1',
    excite: 'attn.fc2',
    fused: 'reparam_conv',
    order: ['skip', 'conv', 'scale', 'fused', 'squeeze', 'excite'],
    normTensors: torchNorm,
  },
  corenet: {
    title: 'CoreNet',
    stem: 'conv_1',
    stage: { prefix: 'layer_', first: 2 },
    head: 'classifier.classifier_fc',
    conv: { weight: 'rbr_conv.{b}.block.conv.weight', norm: 'rbr_conv.{b}.block.norm' },
    scale: { weight: 'rbr_scale.block.conv.weight', norm: 'rbr_scale.block.norm' },
    skip: { norm: 'rbr_skip' },
    squeeze: 'se.se_layer.fc1.block.conv',
    excite: 'se.se_layer.fc2.block.conv',
    fused: 'reparam_conv',
    order: ['squeeze', 'excite', 'skip', 'conv', 'scale', 'fused'],
    normTensors: torchNorm,
  },
  mobileone: {
    title: 'this project',
    stem: 'stem',
    stage: { prefix: 'stages.', first: 0 },
    head: 'head',
    conv: { weight: 'conv.{b}.weight', norm: 'conv.{b}.bn' },
    scale: { weight: 'scale.weight', norm: 'scale.bn' },
    skip: { norm: 'skip.bn' },
    squeeze: 'se.squeeze',
    excite: 'se.excite',
    fused: '',
    order: ['conv', 'scale', 'skip', 'fused', 'squeeze', 'excite'],
    normTensors: [
      ['gamma', 'gamma'],
      ['beta', 'beta'],
      ['mean', 'mean'],
      ['variance', 'variance'],
    ],
  },
};

export const families: readonly Family[] = ['apple', 'mmpretrain', 'timm', 'corenet', 'mobileone'];
