/**
 * Cross-entropy of rows of K logits z with targets t, smoothed to t′ = (1 − ε)·t + ε·s/K where s = Σt. With
 * d = z − max z and S = Σ eᵈ, which no large logit overflows:
 *
 *     loss = Σ over rows (s·log S − Σ t′·d) / Σ s        dz = dloss/Σ s · (s·eᵈ/S − t′)
 */
import {
  at,
  broadcastAt,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import { arraySumTiles, emitArraySum, laneMask, partialCount } from '../elementwise/array-sums.ts';
import type { KernelSpec, TaskPlan, Tile } from '../plan/plan.ts';
import { emitExp } from '../vector/activation.ts';
import { zeroed } from '../vector/emit.ts';
import { emitLog } from '../vector/logarithm.ts';
import { overRow, type Part, partAt, shares } from '../vector/vector-span.ts';
import { emitRowMaximum } from './softmax.ts';

export interface CrossEntropyTask {
  /** Of logits and targets: classes last. */
  readonly shape: Shape;
  readonly smoothing: number;
}

const TILE_ELEMENTS = 8192;
const MOST_TILES = 256;

function rowShares(rows: number, classes: number) {
  return shares(rows, Math.max(Math.ceil(TILE_ELEMENTS / classes), Math.ceil(rows / MOST_TILES)));
}

function sizes({ shape }: CrossEntropyTask): { readonly rows: number; readonly classes: number } {
  const classes = shape.at(-1) ?? 1;
  return { rows: elementCount(shape) / classes, classes };
}

/** Inputs logits, targets; output loss [1]. */
export function planCrossEntropy(target: VectorTarget, task: CrossEntropyTask): TaskPlan {
  const { rows, classes } = sizes(task);
  const tiles = rowShares(rows, classes);
  const losses = tiles.map(
    ({ start, count }, i): Tile => ({
      kernel: lossKernel(target, task, count, classes),
      slots: [
        { buffer: 'input0', offset: start * classes * 4 },
        { buffer: 'input1', offset: start * classes * 4 },
        { buffer: 'constant0', offset: 0 },
        { buffer: 'scratch', offset: i * 4 },
        { buffer: 'scratch', offset: (tiles.length + i) * 4 },
      ],
    }),
  );
  const mean: KernelSpec = {
    name: `f32_weightedMean_${tiles.length}__${target.name}`,
    generate: (a) => {
      const pointer = a.slot(1);
      const loss = emitArraySum(a, pointer, tiles.length);
      a.addInt(pointer, tiles.length * 4);
      const weight = emitArraySum(a, pointer, tiles.length);
      emitQuotient(a, loss, weight);
      const output = a.slot(2);
      a.store(at(output), loss, 1);
      a.freeVec(loss, weight);
      a.freeInt(pointer, output);
    },
  };
  const slots = (['scratch', 'output'] as const).map((buffer) => ({ buffer, offset: 0 }));
  return {
    constants: [laneMask(target, classes)],
    scratchBytes: 2 * tiles.length * 4,
    steps: [losses, [{ kernel: mean, slots }]],
    flops: 24 * rows * classes,
  };
}

/** value ← value/weight, 0 where no row counts. */
function emitQuotient(a: VectorAssembler, value: Vec, weight: Vec): void {
  const zero = zeroed(a);
  a.binary('divide', value, value, weight);
  a.select('equal', value, weight, zero, zero, value);
  a.freeVec(zero);
}

interface Pointers {
  readonly logits: Int;
  readonly targets: Int;
  readonly mask: Int;
}

function lossKernel(
  target: VectorTarget,
  { smoothing }: CrossEntropyTask,
  rows: number,
  classes: number,
): KernelSpec {
  return {
    name: `f32_crossEntropy_${rows}r${classes}c_${smoothing}__${target.name}`,
    generate: (a) => {
      const pointers = { logits: a.slot(1), targets: a.slot(2), mask: a.slot(3) };
      /** Σ s·log S and Σ s, in every lane; Σ t·d and ε/K·Σ s·Σ d, of each lane. */
      const totals = { logs: zeroed(a), weights: zeroed(a), given: zeroed(a), uniform: zeroed(a) };
      a.loop(rows, () => {
        emitLossRow(a, classes, smoothing, pointers, totals);
        a.addInt(pointers.logits, classes * 4);
        a.addInt(pointers.targets, classes * 4);
      });
      const { logs, weights, given, uniform } = totals;
      const value = a.newVec();
      a.constant(value, 1 - smoothing);
      a.binary('multiply', given, given, value);
      a.constant(value, smoothing / classes);
      a.fma(given, uniform, value);
      a.reduceLanes('add', given, given);
      a.binary('subtract', logs, logs, given);
      const [lossOut, weightOut] = [a.slot(4), a.slot(5)];
      a.store(at(lossOut), logs, 1);
      a.store(at(weightOut), weights, 1);
      a.freeVec(value, ...Object.values(totals));
      a.freeInt(lossOut, weightOut, ...Object.values(pointers));
    },
  };
}

interface Totals {
  readonly logs: Vec;
  readonly weights: Vec;
  readonly given: Vec;
  readonly uniform: Vec;
}

function emitLossRow(
  a: VectorAssembler,
  classes: number,
  smoothing: number,
  { logits, targets, mask }: Pointers,
  totals: Totals,
): void {
  const most = emitRowMaximum(a, logits, classes);
  const [sum, weight, distance] = [zeroed(a), zeroed(a), zeroed(a)];
  const [d, t] = [a.newVec(), a.newVec()];
  overRow(a, classes, 1, [logits, targets], (parts) => {
    for (const part of parts) {
      a.load(d, partAt(logits, part), part.lanes);
      a.binary('subtract', d, d, most);
      a.load(t, partAt(targets, part), part.lanes);
      a.binary('add', weight, weight, t);
      a.fma(totals.given, t, d);
      const partial = part.lanes < a.lanes;
      if (smoothing > 0 && partial) a.fma(distance, d, at(mask));
      else if (smoothing > 0) a.binary('add', distance, distance, d);
      emitExp(a, d);
      if (partial) a.fma(sum, d, at(mask));
      else a.binary('add', sum, sum, d);
    }
  });
  a.reduceLanes('add', sum, sum);
  a.reduceLanes('add', weight, weight);
  emitLog(a, sum);
  a.fma(totals.logs, sum, weight);
  a.binary('add', totals.weights, totals.weights, weight);
  if (smoothing > 0) a.fma(totals.uniform, distance, weight);
  a.freeVec(most, sum, weight, distance, d, t);
}

/** Inputs logits, targets, dloss [1]; output dlogits. */
export function planCrossEntropyGrad(target: VectorTarget, task: CrossEntropyTask): TaskPlan {
  const { rows, classes } = sizes(task);
  const count = rows * classes;
  const partials = partialCount(count);
  const share = { buffer: 'scratch', offset: partials * 4 } as const;
  const weights = arraySumTiles(target, { name: 'values', count, inputs: ['input1'], emit: () => {} }, 0);
  const shareKernel: KernelSpec = {
    name: `f32_shareOf_${partials}__${target.name}`,
    generate: (a) => {
      const [pointer, dloss, output] = [a.slot(1), a.slot(2), a.slot(3)];
      const weight = emitArraySum(a, pointer, partials);
      const value = a.newVec();
      a.broadcast(value, broadcastAt(dloss));
      emitQuotient(a, value, weight);
      a.store(at(output), value, 1);
      a.freeVec(weight, value);
      a.freeInt(pointer, dloss, output);
    },
  };
  const gradients = rowShares(rows, classes).map(({ start, count: some }): Tile => {
    const offset = start * classes * 4;
    return {
      kernel: gradKernel(target, task, some, classes),
      slots: [
        { buffer: 'input0', offset },
        { buffer: 'input1', offset },
        { buffer: 'constant0', offset: 0 },
        { buffer: 'output', offset },
        share,
      ],
    };
  });
  return {
    constants: [laneMask(target, classes)],
    scratchBytes: (partials + 1) * 4,
    steps: [
      weights,
      [
        {
          kernel: shareKernel,
          slots: [{ buffer: 'scratch', offset: 0 }, { buffer: 'input2', offset: 0 }, share],
        },
      ],
      gradients,
    ],
    flops: 24 * count,
  };
}

function gradKernel(
  target: VectorTarget,
  { smoothing }: CrossEntropyTask,
  rows: number,
  classes: number,
): KernelSpec {
  return {
    name: `f32_crossEntropyGrad_${rows}r${classes}c_${smoothing}__${target.name}`,
    generate: (a) => {
      const pointers = { logits: a.slot(1), targets: a.slot(2), mask: a.slot(3) };
      const output = a.slot(4);
      const [shareAt, share] = [a.slot(5), a.newVec()];
      a.broadcast(share, broadcastAt(shareAt));
      a.freeInt(shareAt);
      a.loop(rows, () => {
        emitGradRow(a, classes, smoothing, pointers, output, share);
        for (const pointer of [pointers.logits, pointers.targets, output]) a.addInt(pointer, classes * 4);
      });
      a.freeVec(share);
      a.freeInt(output, ...Object.values(pointers));
    },
  };
}

function emitGradRow(
  a: VectorAssembler,
  classes: number,
  smoothing: number,
  { logits, targets, mask }: Pointers,
  output: Int,
  share: Vec,
): void {
  const most = emitRowMaximum(a, logits, classes);
  const [sum, weight] = [zeroed(a), zeroed(a)];
  const value = a.newVec();
  const walk = (body: (part: Part) => void): void =>
    overRow(a, classes, 1, [logits, targets, output], (parts) => parts.forEach(body));
  walk((part) => {
    a.load(value, partAt(logits, part), part.lanes);
    a.binary('subtract', value, value, most);
    emitExp(a, value);
    a.store(partAt(output, part), value, part.lanes);
    if (part.lanes < a.lanes) a.fma(sum, value, at(mask));
    else a.binary('add', sum, sum, value);
    a.load(value, partAt(targets, part), part.lanes);
    a.binary('add', weight, weight, value);
  });
  a.reduceLanes('add', sum, sum);
  a.reduceLanes('add', weight, weight);
  // dz = e·(share·s/S) + t·(−share·(1 − ε)) − share·s·ε/K
  const [given, uniform] = [a.newVec(), a.newVec()];
  a.binary('multiply', weight, weight, share);
  a.binary('divide', sum, weight, sum);
  a.constant(given, smoothing - 1);
  a.binary('multiply', given, given, share);
  a.constant(uniform, -smoothing / classes);
  a.binary('multiply', uniform, uniform, weight);
  walk((part) => {
    const gradient = most; // no longer needed
    a.move(gradient, uniform);
    a.load(value, partAt(targets, part), part.lanes);
    a.fma(gradient, value, given);
    a.load(value, partAt(output, part), part.lanes);
    a.fma(gradient, value, sum);
    a.store(partAt(output, part), gradient, part.lanes);
  });
  a.freeVec(most, sum, weight, value, given, uniform);
}
