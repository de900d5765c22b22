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
import { at, type Int, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec } from '../plan/plan.ts';
import { blockName } from '../plan/window-blocks.ts';
import { countBySlot } from '../vector/emit.ts';
import { emitEpilogue, epilogueName } from '../vector/epilogue.ts';
import { emitRun, runsOf, type Sums } from './panel-run.ts';
import { type PanelBlock, type PanelSpec, SLOT } from './panel-spec.ts';

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
  return `f32_panel${epilogueName(spec)}_k${spec.kernel.join('x')}c${spec.channels}_v${spec.vectors}.${spec.lastLanes}${spec.clipsRows ? '_clip' : ''}${spec.prefetch ? `_f${spec.prefetch}` : ''}${spec.ahead ? `_a${spec.ahead}` : ''}${spec.streams ? '_streams' : ''}${spec.past ? '_past' : ''}_s${strides.join(',')}_b${blocks.join(',')}`;
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
      const beside = residual && at(residual, offset);
      emitEpilogue(a, sum, { activation: spec.activation, residual: beside }, count);
      if (spec.past && count === a.lanes) a.storePast(at(output, offset), sum);
      else a.store(at(output, offset), sum, count);
    }
  }
}
