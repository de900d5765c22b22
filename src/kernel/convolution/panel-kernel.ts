/**
 * The kernel behind every convolution but the depthwise one: a few output positions × a few vectors of output
 * channels stay in registers while all taps and input channels go by. It reads NHWC as it lies: a step takes one
 * number of each position, given to all lanes, and one row of a weight panel.
 *
 *     weights   panel after panel: [vectors·lanes] bias, then [kH][kW][C][vectors·lanes]
 *     output    blocks of positions along a line; a line is a row of the picture, or all rows where the window
 *               is a single point
 *
 * A record names a first panel, a first line and how many of each; the panel loop is the outer one, so that a
 * panel stays in the nearest cache while input streams by.
 */
import {
  at,
  broadcastAt,
  type Int,
  type TargetName,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../graph/activations.ts';
import type { KernelSpec, Slot } from '../plan/plan.ts';
import { blockName, isWhole, type TapRange } from '../plan/window-blocks.ts';
import { emitActivation } from '../vector/activation.ts';
import { countBySlot } from '../vector/emit.ts';

export interface PanelBlock {
  /** Taps along the line that lie inside the input, a range for each position. */
  readonly taps: readonly TapRange[];
  /** How often the block comes in a row; `slot` takes it from the record. */
  readonly repeat: number | 'slot';
  /** Bytes from the line's first input to what offsets of this block's first window count from. */
  readonly start: number;
  /** Bytes by which the first window's first tap lies before `start`: within the padding. */
  readonly before: number;
}

/** Everything the code depends on; sizes are in bytes unless said otherwise. */
export interface PanelSpec {
  readonly kernel: readonly [height: number, width: number];
  /** Numbers that one tap adds. */
  readonly channels: number;
  readonly tapStride: number;
  readonly kernelRowStride: number;
  readonly positionStride: number;
  readonly lineStride: number;
  readonly outputStride: number;
  /** From one output line to the next. */
  readonly outputLineStride: number;
  /** Vectors in a panel, and lanes of the last one that are meant. */
  readonly vectors: number;
  readonly lastLanes: number;
  readonly blocks: readonly PanelBlock[];
  /** How far ahead weights are fetched, 0 for not at all: the next panel's where they are not in the caches. */
  readonly prefetch: number;
  /** Weights further on that each turn of the loop fetches into the second cache, in bytes; 0 for none. */
  readonly ahead: number;
  /** The next block's input is fetched meanwhile, as no cache holds it; only where the window is a single point. */
  readonly streams: boolean;
  /** The output is written past the caches. */
  readonly past: boolean;
  /** The record says which kernel rows lie inside the input. */
  readonly clipsRows: boolean;
  readonly residual: boolean;
  readonly activation: ActivationName | null;
}

const SLOT = {
  input: 1,
  weights: 2,
  output: 3,
  residual: 4,
  panels: 5,
  lines: 6,
  kernelRows: 7,
  skippedWeights: 8,
  ahead: 9,
  repeats: 10,
} as const;

export interface PanelRecord {
  readonly input: Slot;
  readonly weights: Slot;
  readonly output: Slot;
  readonly residual: Slot;
  readonly panels: number;
  readonly lines: number;
  /** Kernel rows inside the input, and bytes of weights of those before them. */
  readonly kernelRows: number;
  readonly skippedWeights: number;
  /** Bytes from a panel to what is fetched meanwhile. */
  readonly ahead: number;
  /** For each block with a repeat of `slot`. */
  readonly repeats: readonly number[];
}

export function panelSlots(record: PanelRecord): readonly Slot[] {
  const { input, weights, output, residual, panels, lines, kernelRows, skippedWeights, ahead, repeats } =
    record;
  return [input, weights, output, residual, panels, lines, kernelRows, skippedWeights, ahead, ...repeats];
}

export function panelKernel(spec: PanelSpec): KernelSpec {
  return { name: panelName(spec), generate: (a) => emitPanels(a, spec) };
}

function panelName(spec: PanelSpec): string {
  const blocks = spec.blocks.map(
    (block) => `${blockName(spec.kernel[1], block)}*${block.repeat}@${block.start}-${block.before}`,
  );
  const strides = [
    spec.tapStride,
    spec.kernelRowStride,
    spec.positionStride,
    spec.lineStride,
    spec.outputStride,
    spec.outputLineStride,
  ];
  const epilogue = `${spec.residual ? '_residual' : ''}${spec.activation ? `_${spec.activation}` : ''}`;
  return `f32_panel${epilogue}_k${spec.kernel.join('x')}c${spec.channels}_v${spec.vectors}.${spec.lastLanes}${spec.clipsRows ? '_clip' : ''}${spec.prefetch ? `_f${spec.prefetch}` : ''}${spec.ahead ? `_a${spec.ahead}` : ''}${spec.streams ? '_streams' : ''}${spec.past ? '_past' : ''}_s${strides.join(',')}_b${blocks.join(',')}`;
}

/** Pointers that live as long as a panel. */
interface Pointers {
  readonly input: Int;
  readonly weights: Int;
  readonly output: Int;
  readonly residual: Int | undefined;
  readonly ahead: Int | undefined;
}

function emitPanels(a: VectorAssembler, spec: PanelSpec): void {
  const pointers: Pointers = {
    input: a.newInt(),
    weights: a.slot(SLOT.weights),
    output: a.newInt(),
    residual: spec.residual ? a.newInt() : undefined,
    ahead: spec.ahead > 0 ? a.newInt() : undefined,
  };
  const panelOffset = a.int(0);
  const panelOutput = spec.vectors * a.lanes * 4;
  const panelWeights = panelOutput * (1 + spec.kernel[0] * spec.kernel[1] * spec.channels);
  countBySlot(a, SLOT.panels, () => {
    if (pointers.ahead !== undefined) {
      a.loadPointer(pointers.ahead, at(a.record, 8 * SLOT.ahead));
      a.addInt(pointers.ahead, pointers.weights);
    }
    a.loadPointer(pointers.input, at(a.record, 8 * SLOT.input));
    a.loadPointer(pointers.output, at(a.record, 8 * SLOT.output));
    a.addInt(pointers.output, panelOffset);
    if (pointers.residual !== undefined) {
      a.loadPointer(pointers.residual, at(a.record, 8 * SLOT.residual));
      a.addInt(pointers.residual, panelOffset);
    }
    countBySlot(a, SLOT.lines, () => emitLine(a, spec, pointers));
    a.addInt(panelOffset, panelOutput);
    a.addInt(pointers.weights, panelWeights);
  });
  a.freeInt(pointers.input, pointers.weights, pointers.output, panelOffset);
  if (pointers.residual !== undefined) a.freeInt(pointers.residual);
  if (pointers.ahead !== undefined) a.freeInt(pointers.ahead);
}

/** All blocks of a line, then on to the next line; a line with a repeat from the record must be the only one. */
function emitLine(a: VectorAssembler, spec: PanelSpec, pointers: Pointers): void {
  let at = 0;
  let written = 0;
  let slot: number = SLOT.repeats;
  for (const block of spec.blocks) {
    const positions = block.taps.length;
    if (block.repeat === 'slot') {
      countBySlot(a, slot++, () => emitBlock(a, spec, block, pointers));
      continue;
    }
    a.addInt(pointers.input, block.start - at);
    a.loop(block.repeat, () => emitBlock(a, spec, block, pointers));
    at = block.start + block.repeat * positions * spec.positionStride;
    written += block.repeat * positions * spec.outputStride;
  }
  if (slot !== SLOT.repeats) return;
  a.addInt(pointers.input, spec.lineStride - at);
  a.addInt(pointers.output, spec.outputLineStride - written);
  if (pointers.residual !== undefined) a.addInt(pointers.residual, spec.outputLineStride - written);
}

/** Steps over one contiguous stretch of input, for the positions first … end−1 of a block. */
interface Run {
  readonly inputOffset: number;
  /** Steps of weights before it, counted from the kernel row's first. */
  readonly weightStep: number;
  readonly steps: number;
  readonly first: number;
  readonly end: number;
}

/** What one kernel row adds to a block: a single run where whole windows lie contiguously, else one a tap. */
function runsOf(spec: PanelSpec, block: PanelBlock): Run[] {
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

type Sums = readonly (readonly Vec[])[];

function emitBlock(a: VectorAssembler, spec: PanelSpec, block: PanelBlock, pointers: Pointers): void {
  const { input, weights, output, residual } = pointers;
  const rowBytes = spec.vectors * a.lanes * 4;
  const sums: Sums = block.taps.map(() => Array.from({ length: spec.vectors }, () => a.newVec()));
  startAtBias(a, sums, weights);
  const from = a.newInt();
  const row = a.newInt();
  a.moveInt(from, input);
  a.moveInt(row, weights);
  a.addInt(row, rowBytes);
  if (spec.clipsRows) {
    const skipped = a.slot(SLOT.skippedWeights);
    a.addInt(row, skipped);
    a.freeInt(skipped);
  }
  const runs = runsOf(spec, block);
  const kernelRow = (): void => {
    for (const run of runs) emitRun(a, spec, run, sums, { from, row, ahead: pointers.ahead });
    if (spec.kernel[0] === 1) return;
    a.addInt(from, spec.kernelRowStride);
    a.addInt(row, spec.kernel[1] * spec.channels * rowBytes);
  };
  if (spec.clipsRows) countBySlot(a, SLOT.kernelRows, kernelRow);
  else a.loop(spec.kernel[0], kernelRow);
  a.freeInt(from, row);
  finishBlock(a, spec, sums, output, residual);
  a.freeVec(...sums.flat());
  a.addInt(input, block.taps.length * spec.positionStride);
  a.addInt(output, block.taps.length * spec.outputStride);
  if (residual !== undefined) a.addInt(residual, block.taps.length * spec.outputStride);
}

function startAtBias(a: VectorAssembler, sums: Sums, weights: Int): void {
  const [first = [], ...others] = sums;
  first.forEach((sum, v) => {
    a.load(sum, at(weights, v * a.lanes * 4));
    for (const position of others) a.move(position[v] ?? sum, sum);
  });
}

const CACHE_LINE = 64;

interface LoopStyle {
  /** Steps in a loop's body. */
  readonly unroll: number;
  /** Multiply-adds up to which a run is written out without a loop. */
  readonly writtenOut: number;
}

/** Turns of a loop over so many steps, each of which may fetch weights ahead; none where loops are too short for it. */
export function panelTurns(target: VectorTarget, steps: number): number {
  const { unroll } = loopStyles[target.name];
  return unroll > 1 ? Math.floor(steps / unroll) : 0;
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

function emitRun(
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

/** sums[p][v] += input[p] · weights[v]. A number used by several vectors is worth a register of its own. */
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
  const inOperand = a.has('embeddedBroadcast') && vectors === 1;
  positions.forEach((sums, p) => {
    const offset = inputOffset + p * positionStride;
    const x = inOperand ? undefined : a.newVec();
    if (x !== undefined) a.broadcast(x, at(from, offset));
    sums.forEach((sum, v) => {
      a.fma(sum, weights[v] ?? sum, x ?? broadcastAt(from, offset));
    });
    if (x !== undefined) a.freeVec(x);
  });
  a.freeVec(...weights);
}

function finishBlock(
  a: VectorAssembler,
  spec: PanelSpec,
  sums: Sums,
  output: Int,
  residual: Int | undefined,
): void {
  for (const [p, position] of sums.entries()) {
    for (const [v, sum] of position.entries()) {
      const offset = p * spec.outputStride + v * a.lanes * 4;
      const count = v === spec.vectors - 1 ? spec.lastLanes : a.lanes;
      if (residual !== undefined) {
        const x = a.newVec();
        a.load(x, at(residual, offset), count);
        a.binary('add', sum, sum, x);
        a.freeVec(x);
      }
      if (spec.activation !== null) emitActivation(a, spec.activation, sum);
      if (spec.past && count === a.lanes) a.storePast(at(output, offset), sum);
      else a.store(at(output, offset), sum, count);
    }
  }
}
