import { at, type Vec, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import { arraySumTiles, emitArraySum, partialCount } from '../elementwise/array-sums.ts';
import type { TaskPlan } from '../plan/plan.ts';

/** Beside the norm in the denominator, as PyTorch's clip_grad_norm_ has it. */
const MARGIN = 1e-6;

/** Outputs min(1, maxNorm/(norm + 1e-6)) and norm, the root of the sum of squares of all inputs. */
export function planClipFactor(target: VectorTarget, shapes: readonly Shape[], maxNorm: number): TaskPlan {
  let partials = 0;
  const squares = shapes.flatMap((shape, i) => {
    const count = elementCount(shape);
    const offset = partials * 4;
    partials += partialCount(count);
    const emit = (a: VectorAssembler, [value]: readonly Vec[]): void => {
      if (value !== undefined) a.binary('multiply', value, value, value);
    };
    return arraySumTiles(target, { name: 'squares', count, inputs: [`input${i}`], emit }, offset);
  });
  const factor = {
    name: `f32_clipFactor_${partials}_${maxNorm}__${target.name}`,
    generate: (a: VectorAssembler): void => {
      const pointer = a.slot(1);
      const norm = emitArraySum(a, pointer, partials);
      const [value, ratio] = [a.newVec(), a.newVec()];
      a.unary('squareRoot', norm, norm);
      const [factorOut, normOut] = [a.slot(2), a.slot(3)];
      a.store(at(normOut), norm, 1);
      a.constant(value, MARGIN);
      a.binary('add', norm, norm, value);
      a.constant(ratio, maxNorm);
      a.binary('divide', ratio, ratio, norm);
      a.constant(value, 1);
      a.binary('minimum', ratio, value, ratio); // NaN stays NaN
      a.store(at(factorOut), ratio, 1);
      a.freeVec(norm, value, ratio);
      a.freeInt(pointer, factorOut, normOut);
    },
  };
  const slots = (['scratch', 'output', 'output1'] as const).map((buffer) => ({ buffer, offset: 0 }));
  return {
    constants: [],
    scratchBytes: partials * 4,
    steps: [squares, [{ kernel: factor, slots }]],
    flops: 2 * shapes.reduce((sum, shape) => sum + elementCount(shape), 0),
  };
}
