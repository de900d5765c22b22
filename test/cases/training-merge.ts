import { type ConvGeometry, convGeometry, formatGeometry } from '../../src/graph/geometry.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { CaseValues, OpCase } from './op-case.ts';

/** A block's linear branches: k full kernels, and a 1×1 kernel and the input itself where asked for. */
export interface Branches {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
  readonly branches: number;
  readonly scale?: boolean;
  readonly skip?: boolean;
  readonly size?: readonly [height: number, width: number];
  readonly batch?: number;
}

/** k = 1 … 5, strides, dilations, with and without scale and skip; channels around likely vector and tile edges. */
export const branchCases: readonly Branches[] = [
  { from: 5, to: 7, kernel: 1, branches: 1 },
  { from: 16, to: 16, kernel: 1, branches: 2, skip: true, batch: 3 },
  { from: 17, to: 33, kernel: 1, branches: 4, size: [9, 8], batch: 2 },
  { from: 33, to: 33, kernel: 1, branches: 3, skip: true, size: [8, 9] },
  { from: 48, to: 20, kernel: 1, branches: 5, size: [12, 11], batch: 2 },
  { from: 130, to: 130, kernel: 1, branches: 2, skip: true, size: [3, 4], batch: 2 },
  { from: 12, to: 10, kernel: 1, stride: 2, branches: 2, size: [9, 10] },
  { from: 1, to: 1, groups: 1, kernel: 3, branches: 1, scale: true, skip: true },
  { from: 4, to: 4, groups: 4, kernel: 3, branches: 2, scale: true, skip: true, batch: 2 },
  { from: 17, to: 17, groups: 17, kernel: 3, branches: 4, scale: true, skip: true, size: [6, 5], batch: 2 },
  { from: 16, to: 16, groups: 16, kernel: 3, branches: 1, skip: true, size: [4, 11] },
  { from: 16, to: 16, groups: 16, kernel: 3, stride: 2, branches: 4, scale: true, size: [8, 7], batch: 3 },
  { from: 33, to: 33, groups: 33, kernel: 3, stride: 2, branches: 5, scale: true, size: [7, 8], batch: 2 },
  {
    from: 20,
    to: 20,
    groups: 20,
    kernel: 3,
    dilation: 2,
    branches: 3,
    scale: true,
    skip: true,
    size: [7, 9],
  },
  { from: 8, to: 8, groups: 8, kernel: 3, stride: 2, dilation: 2, branches: 2, scale: true, size: [9, 9] },
  { from: 9, to: 9, groups: 9, kernel: 1, branches: 2, skip: true, size: [5, 4] },
  { from: 6, to: 6, groups: 6, kernel: 5, branches: 2, scale: true, skip: true, size: [6, 7], batch: 2 },
  { from: 33, to: 33, groups: 33, kernel: 3, branches: 1, scale: true, skip: true, size: [7, 8], batch: 3 },
  { from: 5, to: 5, groups: 5, kernel: 5, branches: 1, scale: true, skip: true, size: [8, 9], batch: 2 },
  { from: 3, to: 3, groups: 3, kernel: 3, branches: 1, skip: true, size: [50, 66] },
  { from: 16, to: 16, groups: 16, kernel: 3, branches: 2, scale: true, skip: true, size: [1, 1], batch: 9 },
  { from: 16, to: 16, groups: 16, kernel: 3, branches: 2, scale: true, skip: true, size: [2, 3], batch: 5 },
  { from: 3, to: 8, kernel: 3, stride: 2, branches: 4, scale: true, size: [9, 10], batch: 3 },
  { from: 4, to: 4, kernel: 3, branches: 2, scale: true, skip: true, size: [6, 5], batch: 2 },
  { from: 3, to: 6, kernel: 3, stride: 2, dilation: 2, branches: 1, scale: true, size: [9, 8] },
  { from: 8, to: 12, kernel: 3, groups: 4, branches: 3, scale: true, size: [5, 6], batch: 2 },
];

/** P, the length of a patch. */
export function patchLength({ from }: Branches, { groups, kernel }: ConvGeometry): number {
  return (from / groups) * kernel[0] * kernel[1];
}

const transposed = (data: Tensor['data'], length: number, i: number): number => {
  const [row, column] = [Math.floor(i / length) % length, i % length];
  return data[i - row * length - column + column * length + row] ?? 0;
};

/** [groups,P,P] → (A + Aᵀ)/2, exact in f32 but for rounding that is the same on both sides. */
export function symmetric({ shape, data }: Tensor): Tensor {
  const length = shape.at(-1) ?? 1;
  return { shape, data: Float32Array.from(data, (x, i) => (x + transposed(data, length, i)) / 2) };
}

/** [groups,P,P] → A·Aᵀ/P and a little more along the diagonal: what a covariance may be. */
export function positive({ shape, data }: Tensor): Tensor {
  const length = shape.at(-1) ?? 1;
  const result = Float32Array.from(data, (_, i) => {
    const [row, column] = [Math.floor(i / length) % length, i % length];
    const first = i - row * length - column;
    let sum = row === column ? 0.1 * length : 0;
    for (let k = 0; k < length; k++)
      sum += (data[first + row * length + k] ?? 0) * (data[first + column * length + k] ?? 0);
    return sum / length;
  });
  return { shape, data: result };
}

const fit =
  (name: string, how: (tensor: Tensor) => Tensor) =>
  ({ inputs, weights }: CaseValues): CaseValues => {
    const found = inputs[name];
    return { inputs: found ? { ...inputs, [name]: how(found) } : inputs, weights };
  };

function casesOf(sizes: Branches): readonly OpCase[] {
  const geometry = convGeometry(sizes);
  const { from, to, branches, size = [5, 7], batch = 1 } = sizes;
  const { groups } = geometry;
  const [scale, skip] = [sizes.scale ?? false, sizes.skip ?? false];
  const length = patchLength(sizes, geometry);
  const [mean, covariance] = [
    [groups, length],
    [groups, length, length],
  ];
  const weight = [to, from / groups, ...geometry.kernel];
  const own = Array.from({ length: branches + (scale ? 1 : 0) }, (_, i) =>
    i < branches ? weight : [...weight.slice(0, 2), 1, 1],
  );
  const x = [batch, ...size, from];
  const where = `${formatGeometry(geometry)} of ${from} on ${batch}×${size.join('×')}`;
  const what = `${formatGeometry(geometry)} ${from}→${to} ×${branches}${scale ? ' scale' : ''}${skip ? ' skip' : ''}`;
  const attrs = { geometry, eps: 1e-5, skip };
  const all = [...own, ...(skip ? ['skip' as const] : [])];
  return [
    {
      name: `patchMoments ${where}`,
      kind: 'patchMoments',
      build: (b) => b.results('patchMoments', 'op', { geometry }, [b.input('x', x)]),
      reduction: batch * size[0] * size[1],
      kinks: [],
    },
    {
      name: `patchMomentsGrad ${where}`,
      kind: 'patchMomentsGrad',
      build: (b) =>
        b.node('patchMomentsGrad', 'op', { geometry }, [
          b.input('x', x),
          b.input('mean', mean),
          b.input('dmean', mean),
          b.input('dcovariance', covariance),
        ]),
      fit: fit('dcovariance', symmetric),
      reduction: length * geometry.kernel[0] * geometry.kernel[1],
      kinks: [],
    },
    {
      name: `mergeBranches ${what}`,
      kind: 'mergeBranches',
      build: (b) =>
        b.results('mergeBranches', 'op', attrs, [
          b.input('mean', mean),
          b.input('covariance', covariance),
          ...all.flatMap((shape, i) => [
            ...(shape === 'skip' ? [] : [b.parameter(`weight${i}`, shape, 'weight')]),
            b.parameter(`gamma${i}`, [to], 'gamma'),
            b.parameter(`beta${i}`, [to], 'beta'),
          ]),
        ]),
      fit: fit('covariance', positive),
      reduction: length * length,
      kinks: [],
    },
    {
      name: `mergeBranchesGrad ${what}`,
      kind: 'mergeBranchesGrad',
      build: (b) =>
        b.results('mergeBranchesGrad', 'op', attrs, [
          b.input('mean', mean),
          ...all.flatMap((shape, i) =>
            shape === 'skip'
              ? [b.parameter(`gamma${i}`, [to], 'gamma')]
              : [
                  b.parameter(`weight${i}`, shape, 'weight'),
                  b.parameter(`gamma${i}`, [to], 'gamma'),
                  b.input(`product${i}`, [to, length]),
                ],
          ),
          ...all.flatMap((_, i) => [
            b.parameter(`mean${i}`, [to], 'mean'),
            b.parameter(`variance${i}`, [to], 'variance'),
          ]),
          b.input('dweight', weight),
          b.input('dbias', [to]),
        ]),
      reduction: Math.max(length, to) * 4,
      kinks: [],
    },
  ];
}

const unique = (cases: readonly OpCase[]): readonly OpCase[] => [
  ...new Map(cases.map((c) => [c.name, c])).values(),
];

export const trainingMergeCases: readonly OpCase[] = unique(branchCases.flatMap(casesOf));

/** Pictures so large that fast engines take their moments in several goes. */
const largePictures: readonly Branches[] = [
  { from: 3, to: 4, kernel: 3, branches: 1, size: [150, 140], batch: 2 },
  { from: 16, to: 16, kernel: 1, branches: 1, size: [270, 260] },
  { from: 3, to: 3, groups: 3, kernel: 3, branches: 1, size: [50, 53] },
  { from: 18, to: 18, groups: 18, kernel: 3, stride: 2, branches: 1, size: [67, 70], batch: 2 },
];

export function momentCases(sizes: readonly Branches[]): readonly OpCase[] {
  return sizes.flatMap(casesOf).filter(({ kind }) => kind === 'patchMoments' || kind === 'patchMomentsGrad');
}

export const largeMomentCases: readonly OpCase[] = momentCases(largePictures);
