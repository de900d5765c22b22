/**
 * dx of the moments of depthwise patches: a depthwise filter over a neighbourhood twice as wide, whose weights and
 * bias depend on which patches an input lies in (patch-classes.ts). In class I × J of taps t = (i, j):
 *
 *     weight of distance (k, l) = 2/n Σ_t dcovariance[t, t + (k, l)]
 *     bias                      = 1/n Σ_t (dmean[t] − 2 Σ_u dcovariance[t, u]·mean[u])
 */
import { at, type VectorAssembler, type VectorTarget } from '../../assembler/vector-assembler.ts';
import { type DepthwiseClasses, depthwiseWeightRows } from '../convolution/depthwise/depthwise-spec.ts';
import { depthwiseTaskTiles } from '../convolution/depthwise/depthwise-tiles.ts';
import type { KernelSpec, TaskPlan, Tile } from '../plan/plan.ts';
import { scratchLayout } from '../plan/scratch-layout.ts';
import { spans } from '../plan/split-work.ts';
import { blockAt, intoBlocks, laneBlocks } from './lane-blocks.ts';
import { type PatchClasses, patchClasses } from './patch-classes.ts';
import type { PatchLayout } from './patch-layout.ts';

/** Vectors of channels whose weights a tile makes. */
const VECTORS_A_TILE = 4;

export function planLoneMomentsGrad(target: VectorTarget, patches: PatchLayout): TaskPlan {
  const { images, height, width, channels, taps, positions, geometry } = patches;
  const rows = patchClasses(patches.vertical);
  const columns = patchClasses(patches.horizontal);
  const kernel = [rows.classes.length * rows.distances, columns.classes.length * columns.distances] as const;
  const classes: DepthwiseClasses = { taps: [rows.distances, columns.distances] };
  const scratch = scratchLayout();
  const given = laneBlocks(channels, target.lanes, 2 * taps + taps * taps, scratch.take);
  const weights = laneBlocks(channels, target.lanes, depthwiseWeightRows({ kernel, classes }), scratch.take);
  const turned = [
    ...intoBlocks(given, { buffer: 'input1', offset: 0 }, taps, 0),
    ...intoBlocks(given, { buffer: 'input2', offset: 0 }, taps, taps),
    ...intoBlocks(given, { buffer: 'input3', offset: 0 }, taps * taps, 2 * taps),
  ];
  const made = weightKernel({
    taps,
    kernelWidth: geometry.kernel[1],
    rows,
    columns,
    positions,
    weightRows: weights.rows,
  });
  const makers = spans(given.vectors, Math.ceil(given.vectors / VECTORS_A_TILE)).map(
    ({ first, end }): Tile => ({
      kernel: made,
      slots: [blockAt(given, first), blockAt(weights, first), end - first],
    }),
  );
  const macs = images * height * width * channels * rows.distances * columns.distances;
  const filter = depthwiseTaskTiles(
    target,
    {
      images,
      channels,
      kernel,
      input: [height, width],
      rows: rows.axis,
      columns: columns.axis,
      terms: [{ taps: 'window', input: { buffer: 'input0', offset: 0 }, weights: blockAt(weights, 0) }],
      residual: undefined,
      activation: null,
      classes,
      storage: 'f32',
      macs,
    },
    target.pointerBytes === 4
      ? { rows: 1, columns: 2, keepsTaps: false }
      : { rows: 2, columns: 4, keepsTaps: false },
  );
  return {
    constants: [],
    scratchBytes: scratch.bytes(),
    steps: [turned, makers, filter],
    flops: 2 * macs,
  };
}

interface WeightSpec {
  readonly taps: number;
  readonly kernelWidth: number;
  readonly rows: PatchClasses;
  readonly columns: PatchClasses;
  readonly positions: number;
  readonly weightRows: number;
}

function weightKernel(spec: WeightSpec): KernelSpec {
  const { taps, kernelWidth, rows, columns, positions } = spec;
  const classes = [rows, columns].map((each) => each.classes.map((own) => own.join('')).join(','));
  return {
    name: `f32_lonemomentweights_t${taps}w${kernelWidth}n${positions}_r${classes[0]}_c${classes[1]}`,
    generate: (a) => emitWeights(a, spec),
  };
}

/** Taps t and u = t + distance of every pair that a class and a distance along both axes sum. */
interface ClassRow {
  readonly row: number;
  readonly pairs: readonly (readonly [t: number, u: number])[];
}

function classRows({ kernelWidth, taps, rows, columns }: WeightSpec): readonly ClassRow[] {
  const biases = rows.classes.length * columns.classes.length;
  const width = columns.classes.length * columns.distances;
  const along = (
    { classes, distances }: PatchClasses,
    kernel: number,
  ): readonly { readonly tap: number; readonly pairs: readonly (readonly [number, number])[] }[] =>
    classes.flatMap((own, index) =>
      Array.from({ length: distances }, (_, i) => ({
        tap: index * distances + i,
        pairs: own
          .map((tap) => [tap, tap + i - kernel + 1] as const)
          .filter(([, other]) => other >= 0 && other < kernel),
      })),
    );
  const horizontal = along(columns, kernelWidth);
  return along(rows, taps / kernelWidth).flatMap((vertical) =>
    horizontal.map(({ tap, pairs }) => ({
      row: biases + vertical.tap * width + tap,
      pairs: vertical.pairs.flatMap(([i, k]) =>
        pairs.map(([j, l]) => [i * kernelWidth + j, k * kernelWidth + l] as const),
      ),
    })),
  );
}

function emitWeights(a: VectorAssembler, spec: WeightSpec): void {
  const { taps, kernelWidth, rows, columns, positions, weightRows } = spec;
  const [given, to, vectors] = [a.slot(1), a.slot(2), a.slot(3)];
  const [sum, value, share] = [a.newVec(), a.newVec(), a.newVec()];
  const vecBytes = a.lanes * 4;
  const covarianceAt = (t: number, u: number): number => (2 * taps + t * taps + u) * vecBytes;
  a.loop(vectors, () => {
    a.constant(share, 2);
    for (let t = 0; t < taps; t++) {
      // dmean[t] becomes what tap t adds to a bias, but for 1/n.
      a.zero(sum);
      for (let u = 0; u < taps; u++) {
        a.load(value, at(given, covarianceAt(t, u)));
        a.fma(sum, value, at(given, u * vecBytes));
      }
      a.binary('multiply', sum, sum, share);
      a.load(value, at(given, (taps + t) * vecBytes));
      a.binary('subtract', value, value, sum);
      a.store(at(given, (taps + t) * vecBytes), value);
    }
    a.constant(share, 1 / positions);
    rows.classes.forEach((vertical, r) => {
      columns.classes.forEach((horizontal, c) => {
        a.zero(sum);
        for (const i of vertical)
          for (const j of horizontal)
            a.binary('add', sum, sum, at(given, (taps + i * kernelWidth + j) * vecBytes));
        a.binary('multiply', sum, sum, share);
        a.store(at(to, (r * columns.classes.length + c) * vecBytes), sum);
      });
    });
    a.constant(share, 2 / positions);
    for (const { row, pairs } of classRows(spec)) {
      if (pairs.length === 0) continue;
      a.zero(sum);
      for (const [t, u] of pairs) a.binary('add', sum, sum, at(given, covarianceAt(t, u)));
      a.binary('multiply', sum, sum, share);
      a.store(at(to, row * vecBytes), sum);
    }
    a.addInt(given, (2 * taps + taps * taps) * vecBytes);
    a.addInt(to, weightRows * vecBytes);
  });
  a.freeVec(sum, value, share);
  a.freeInt(given, to, vectors);
}
