/** The loops of a panel kernel: a block's sums take in what one stretch of input adds to them, step by step. */
import {
  at,
  type Int,
  type TargetName,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { isWhole } from '../plan/window-blocks.ts';
import { addOuterProduct } from '../product/outer-product.ts';
import type { PanelBlock, PanelSpec } from './panel-spec.ts';

/** Steps over one contiguous stretch of input, for the positions first … end−1 of a block. */
interface Run {
  readonly inputOffset: number;
  /** Steps of weights before it, counted from the kernel row's first. */
  readonly weightStep: number;
  readonly steps: number;
  readonly first: number;
  readonly end: number;
}

export type Sums = readonly (readonly Vec[])[];

/** What one kernel row adds to a block: a single run where whole windows lie contiguously, else one a tap. */
export function runsOf(spec: PanelSpec, block: PanelBlock): Run[] {
  const width = spec.kernel[1];
  const positions = block.taps.length;
  const whole = block.taps.every((taps) => isWhole(width, taps));
  if (whole && spec.tapStride === spec.channels * 4)
    return [{ inputOffset: 0, weightStep: 0, steps: width * spec.channels, first: 0, end: positions }];
  const runs: Run[] = [];
  for (let tap = 0; tap < width; tap++) {
    const inside = block.taps.map((taps) => taps.first <= tap && tap < taps.end);
    const first = inside.indexOf(true);
    if (first < 0) continue;
    runs.push({
      inputOffset: tap * spec.tapStride - block.before,
      weightStep: tap * spec.channels,
      steps: spec.channels,
      first,
      end: inside.lastIndexOf(true) + 1,
    });
  }
  return runs;
}

const CACHE_LINE = 64;

interface LoopStyle {
  /** Steps in a loop's body. */
  readonly unroll: number;
  /** Multiply-adds up to which a run is written out without a loop. */
  readonly writtenOut: number;
}

/** V8 allocates registers badly over long bodies: one step a turn reaches 56 GFLOP/s where four reach 39. */
const wasmLoops: LoopStyle = { unroll: 1, writtenOut: 0 };
const x64Loops: LoopStyle = { unroll: 4, writtenOut: 320 };
const loopStyles: Readonly<Record<TargetName, LoopStyle>> = {
  avx512: x64Loops,
  avx2: x64Loops,
  'wasm-relaxed': wasmLoops,
  wasm: wasmLoops,
};

/** Turns of a loop over so many steps, each of which may fetch weights ahead; none where loops are too short for it. */
export function panelTurns(target: VectorTarget, steps: number): number {
  const { unroll } = loopStyles[target.name];
  return unroll > 1 ? Math.floor(steps / unroll) : 0;
}

export function emitRun(
  a: VectorAssembler,
  spec: PanelSpec,
  run: Run,
  sums: Sums,
  { from, row, ahead }: { readonly from: Int; readonly row: Int; readonly ahead: Int | undefined },
): void {
  const stepBytes = spec.vectors * a.lanes * 4;
  const positions = sums.slice(run.first, run.end);
  const products = positions.length * spec.vectors;
  const { unroll, writtenOut } = loopStyles[a.target.name];
  const loops = run.steps * products <= writtenOut ? 0 : Math.floor(run.steps / unroll);
  const inputOffset = run.inputOffset + run.first * spec.positionStride;
  const step = (u: number): void => {
    const weightOffset = (run.weightStep + u) * stepBytes;
    emitStep(a, positions, from, inputOffset + u * 4, spec.positionStride, row, weightOffset);
    if (spec.prefetch > 0)
      for (let line = 0; line < stepBytes; line += CACHE_LINE)
        a.prefetch(at(row, weightOffset + spec.prefetch + line));
  };
  a.loop(loops, () => {
    for (let u = 0; u < unroll; u++) {
      step(u);
      if (spec.streams && unroll > 1)
        for (let p = sums.length + u; p < 2 * sums.length; p += unroll)
          a.prefetch(at(from, inputOffset + u * 4 + p * spec.positionStride));
    }
    a.addInt(from, unroll * 4);
    a.addInt(row, unroll * stepBytes);
    if (ahead === undefined) return;
    for (let byte = 0; byte < spec.ahead; byte += CACHE_LINE) a.prefetch(at(ahead, byte), 'second');
    a.addInt(ahead, spec.ahead);
  });
  for (let u = 0; u < run.steps - loops * unroll; u++) step(u);
  a.subtractInt(from, loops * unroll * 4);
  a.subtractInt(row, loops * unroll * stepBytes);
}

/** sums[p][v] += input[p] · weights[v] */
function emitStep(
  a: VectorAssembler,
  positions: Sums,
  from: Int,
  inputOffset: number,
  positionStride: number,
  row: Int,
  weightOffset: number,
): void {
  const vectors = positions[0]?.length ?? 0;
  const vecBytes = a.lanes * 4;
  if (positions.length === 1) {
    const x = a.newVec();
    a.broadcast(x, at(from, inputOffset));
    positions[0]?.forEach((sum, v) => {
      a.fma(sum, x, at(row, weightOffset + v * vecBytes));
    });
    a.freeVec(x);
    return;
  }
  const weights = Array.from({ length: vectors }, () => a.newVec());
  weights.forEach((weight, v) => {
    a.load(weight, at(row, weightOffset + v * vecBytes));
  });
  addOuterProduct(a, positions, weights, from, inputOffset, positionStride);
  a.freeVec(...weights);
}
