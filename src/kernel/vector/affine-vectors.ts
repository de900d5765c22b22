/**
 * What a batch norm does to each channel as one scale and one shift, for norms whose vectors only a run knows:
 * scale = gamma/√(variance + eps), shift = beta − mean·scale.
 */
import { at, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Tile } from '../plan/plan.ts';
import { overRow, partAt } from './vector-span.ts';

const SLOT = { gamma: 1, beta: 2, mean: 3, variance: 4, to: 5 } as const;

/** Room for a vector of channels, so that whole vectors may be read and written. */
export const paddedChannels = (channels: number): number => Math.ceil(channels / 16) * 16;

export interface AffineVectors {
  readonly channels: number;
  readonly eps: number;
  /** Numbers of the task's inputs gamma, beta, mean and variance. */
  readonly inputs: readonly [number, number, number, number];
  /** Bytes into scratch memory: where scales go, then shifts. */
  readonly offset: number;
}

export function affineTile({ channels, eps, inputs, offset }: AffineVectors): Tile {
  const operands = inputs.map((input) => ({ buffer: `input${input}`, offset: 0 }) as const);
  return { kernel: affineKernel(channels, eps), slots: [...operands, { buffer: 'scratch', offset }] };
}

function affineKernel(channels: number, eps: number): KernelSpec {
  return { name: `f32_affine_${channels}_eps${eps}`, generate: (a) => emitAffine(a, channels, eps) };
}

function emitAffine(a: VectorAssembler, channels: number, eps: number): void {
  const [gamma, beta, mean, variance] = [
    a.slot(SLOT.gamma),
    a.slot(SLOT.beta),
    a.slot(SLOT.mean),
    a.slot(SLOT.variance),
  ];
  const to = a.slot(SLOT.to);
  const [scale, shift, x] = [a.newVec(), a.newVec(), a.newVec()];
  overRow(a, channels, 1, [gamma, beta, mean, variance, to], ([part]) => {
    if (part === undefined) return;
    a.load(shift, partAt(variance, part), part.lanes);
    a.constant(x, eps);
    a.binary('add', shift, shift, x);
    a.unary('squareRoot', shift, shift);
    a.load(scale, partAt(gamma, part), part.lanes);
    a.binary('divide', scale, scale, shift);
    a.store(partAt(to, part), scale, part.lanes);
    a.load(x, partAt(mean, part), part.lanes);
    a.binary('multiply', x, x, scale);
    a.load(shift, partAt(beta, part), part.lanes);
    a.binary('subtract', shift, shift, x);
    a.store(at(to, paddedChannels(channels) * 4 + part.offset), shift, part.lanes);
  });
  a.freeVec(scale, shift, x);
  a.freeInt(gamma, beta, mean, variance, to);
}
