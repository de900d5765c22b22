/**
 * dx of moments as a convolution of x: with weights M = 2·dcovariance/n and biases dmean/n − M·mean it gives what
 * reaches each number of each patch, which is then added up where patches overlap. M is symmetric, so its rows are
 * weights in OIHW's order.
 */
import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { EngineError } from '../../errors.ts';
import type { ConvGeometry } from '../../graph/geometry.ts';
import { formatShape, type Shape } from '../../tensor/tensor.ts';
import { convGradientSizes } from '../convolution/conv-gradient-row.ts';
import { type ComputedConvTask, planConvolution } from '../convolution/convolution-task.ts';
import { foldTiles } from '../convolution/fold-patches.ts';
import { patchesAreInput } from '../convolution/patches.ts';
import type { RoundedProducts } from '../convolution/rounded-products.ts';
import type { BufferPlace } from '../plan/plan.ts';
import { further, type TaskPlan, type Tile } from '../plan/plan.ts';
import { partSteps, scratchAt, scratchLayout } from '../plan/scratch-layout.ts';
import { spans } from '../plan/split-work.ts';
import { overRow, partAt } from '../vector/vector-span.ts';
import type { PatchLayout } from './patch-layout.ts';

const SLOT = { dcovariance: 1, mean: 2, dmean: 3, weight: 4, bias: 5, rows: 6 } as const;
const NUMBERS_A_TILE = 2 ** 14;

export interface MomentsGradTask {
  readonly input: Shape;
  readonly geometry: ConvGeometry;
  readonly rounded: RoundedProducts | undefined;
}

export function planDenseMomentsGrad(
  target: VectorTarget,
  { input, geometry, rounded }: MomentsGradTask,
  patches: PatchLayout,
): TaskPlan {
  const { groups, inner, length, positions, channels } = patches;
  const outChannels = groups * length;
  const scratch = scratchLayout();
  const weight = scratchAt(scratch.take(outChannels * length));
  const bias = scratchAt(scratch.take(outChannels));
  const sizes = convGradientSizes({ input, outChannels: channels, geometry });
  const dx: BufferPlace = { buffer: 'output', offset: 0 };
  const direct = patchesAreInput(sizes);
  const reached = direct ? dx : scratchAt(scratch.take(positions * outChannels));
  const task: ComputedConvTask = {
    input,
    geometry,
    weight: { shape: [outChannels, inner, ...geometry.kernel], buffer: 'input1' },
    bias: { shape: [outChannels], buffer: 'input2' },
    activation: null,
    residual: false,
  };
  const convolution = rounded?.convolution(target, task) ?? planConvolution(target, task);
  if (convolution.constants.length > 0)
    throw new EngineError(`patchMomentsGrad of ${formatShape(input)}: computed weights need no constants.`);
  const steps = [
    weightTiles(patches, weight, bias),
    ...partSteps(convolution, { input1: weight, input2: bias, output: reached }, scratch),
    ...(direct ? [] : [foldTiles(sizes, { first: 0, end: sizes.images }, reached, dx)]),
  ];
  const flops = 2 * positions * outChannels * length;
  return { constants: [], scratchBytes: scratch.bytes(), steps, flops };
}

/** Rows of weights in the order of patches in memory: taps first, then channels. */
function weightTiles(patches: PatchLayout, weight: BufferPlace, bias: BufferPlace): readonly Tile[] {
  const { groups, inner, taps, length, positions } = patches;
  const kernel = {
    name: `f32_momentweights_${length}t${taps}n${positions}`,
    generate: (a: VectorAssembler) => emitWeights(a, length, taps, positions),
  };
  const tiles: Tile[] = [];
  for (let group = 0; group < groups; group++)
    for (let tap = 0; tap < taps; tap++)
      for (const { first, end } of spans(inner, Math.ceil((inner * length) / NUMBERS_A_TILE))) {
        const from = group * length + first * taps + tap;
        const to = group * length + tap * inner + first;
        tiles.push({
          kernel,
          slots: [
            { buffer: 'input3', offset: from * length * 4 },
            { buffer: 'input1', offset: group * length * 4 },
            { buffer: 'input2', offset: from * 4 },
            further(weight, to * length * 4),
            further(bias, to * 4),
            end - first,
          ],
        });
      }
  return tiles;
}

function emitWeights(a: VectorAssembler, length: number, taps: number, positions: number): void {
  const [from, mean, dmean] = [a.slot(SLOT.dcovariance), a.slot(SLOT.mean), a.slot(SLOT.dmean)];
  const [to, bias, rows] = [a.slot(SLOT.weight), a.slot(SLOT.bias), a.slot(SLOT.rows)];
  const [value, factor, sum, other] = [a.newVec(), a.newVec(), a.newVec(), a.newVec()];
  a.loop(rows, () => {
    a.zero(sum);
    a.constant(factor, 2 / positions);
    overRow(a, length, 2, [from, mean, to], (parts) => {
      for (const part of parts) {
        a.load(value, partAt(from, part), part.lanes);
        a.binary('multiply', value, value, factor);
        a.store(partAt(to, part), value, part.lanes);
        a.load(other, partAt(mean, part), part.lanes);
        a.fma(sum, value, other);
      }
    });
    a.reduceLanes('add', sum, sum);
    a.load(value, at(dmean), 1);
    a.constant(factor, 1 / positions);
    a.binary('multiply', value, value, factor);
    a.binary('subtract', value, value, sum);
    a.store(at(bias), value, 1);
    a.addInt(from, taps * length * 4);
    a.addInt(to, length * 4);
    a.addInt(dmean, taps * 4);
    a.addInt(bias, 4);
  });
  a.freeVec(value, factor, sum, other);
  a.freeInt(from, mean, dmean, to, bias, rows);
}
