import type { Address, Vec, VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../graph/activations.ts';
import { emitActivation } from './activation.ts';

/** The part of a kernel's name that its epilogue decides. */
export function epilogueName({
  activation,
  residual,
}: {
  readonly activation: ActivationName | null;
  readonly residual: boolean;
}): string {
  return `${residual ? '_residual' : ''}${activation ? `_${activation}` : ''}`;
}

/** What becomes of a sum before it is written: activation(sum + residual), of the first `count` lanes. */
export function emitEpilogue(
  a: VectorAssembler,
  sum: Vec,
  {
    activation,
    residual,
  }: { readonly activation: ActivationName | null; readonly residual?: Address | undefined },
  count?: number,
): void {
  if (residual !== undefined) {
    const x = a.newVec();
    a.load(x, residual, count);
    a.binary('add', sum, sum, x);
    a.freeVec(x);
  }
  if (activation !== null) emitActivation(a, activation, sum);
}
