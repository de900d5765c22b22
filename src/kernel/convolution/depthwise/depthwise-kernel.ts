/**
 * The code of a depthwise convolution, or of the gradient of its input: strips of output rows, cut into blocks of
 * columns; for each block, one vector of channels after the other, so that memory is read in stretches of whole
 * pixels. Several inputs, each with its weights, may be summed into one output.
 *
 *     weights   for each vector of channels: [lanes] bias, then [kH·kW][lanes]
 *
 * Positions may fall into classes that differ in all weights: then there is a bias for each class, and taps are
 * numbered class by class.
 */

import type { VectorAssembler } from '../../../assembler/vector-assembler.ts';
import type { KernelSpec } from '../../plan/plan.ts';
import { reachName } from '../../plan/reach.ts';
import { countBySlot } from '../../vector/emit.ts';
import { epilogueName } from '../../vector/epilogue.ts';
import { channelBytes, pixelBytes, storageName } from '../../vector/storage.ts';
import { emitPart, type Part, type Pointers, type Reaches } from './depthwise-part.ts';
import { type DepthwiseSpec, depthwiseWeightRows, SLOT } from './depthwise-spec.ts';

export function depthwiseKernel(spec: DepthwiseSpec): KernelSpec {
  const { kernel, channels, rows, inputRow, outputRow, tile, output } = spec;
  const columns = spec.columns.map(
    ({ reaches, repeat, start, advance }) => `${reachName(reaches)}*${repeat}@${start}+${advance}`,
  );
  const classes = spec.classes ? `_classes${spec.classes.taps.join('x')}` : '';
  const block = `${tile.keepsTaps ? 'kept' : 'operands'}${tile.rows}x${tile.columns}`;
  const past = spec.past ? '_past' : '';
  const terms = spec.terms.length > 1 ? `_${spec.terms.join(',')}` : '';
  const name = `${storageName(output)}_depthwise${terms}${epilogueName(spec)}${classes}${past}_${block}_k${kernel.join('x')}c${channels}_s${inputRow},${outputRow}_r${reachName(rows.reaches)}+${rows.advance}_b${columns.join(',')}`;
  return { name, generate: (a) => emitStrips(a, spec) };
}

function emitStrips(a: VectorAssembler, spec: DepthwiseSpec): void {
  const pointers: Pointers = {
    input: a.slot(SLOT.input),
    weights: a.slot(SLOT.weights),
    output: a.slot(SLOT.output),
    residual: spec.residual ? a.slot(SLOT.residual) : undefined,
  };
  const { input, output, residual } = pointers;
  const inputPixel = spec.channels * 4;
  const outputPixel = pixelBytes(spec.output, spec.channels);
  countBySlot(a, SLOT.strips, () => {
    let read = 0;
    let written = 0;
    for (const { reaches, repeat, start, advance } of spec.columns) {
      a.addInt(input, start * inputPixel - read);
      a.loop(repeat, () => {
        emitChannels(a, spec, reaches, pointers);
        a.addInt(input, advance * inputPixel);
        a.addInt(output, reaches.length * outputPixel);
        if (residual !== undefined) a.addInt(residual, reaches.length * outputPixel);
      });
      read = (start + repeat * advance) * inputPixel;
      written += repeat * reaches.length * outputPixel;
    }
    a.addInt(input, spec.rows.advance * spec.inputRow - read);
    a.addInt(output, spec.rows.reaches.length * spec.outputRow - written);
    if (residual !== undefined) a.addInt(residual, spec.rows.reaches.length * spec.outputRow - written);
  });
  a.freeInt(input, pointers.weights, output);
  if (residual !== undefined) a.freeInt(residual);
}

/** A block for all channels; pointers are afterwards where they were. */
function emitChannels(a: VectorAssembler, spec: DepthwiseSpec, columns: Reaches, pointers: Pointers): void {
  const vecBytes = a.lanes * 4;
  const weightBytes = depthwiseWeightRows(spec) * vecBytes;
  const whole = Math.floor(spec.channels / a.lanes);
  const rest = spec.channels - whole * a.lanes;
  const moving = [{ pointer: pointers.input, bytes: vecBytes }];
  const outBytes = a.lanes * channelBytes(spec.output);
  for (const pointer of [pointers.output, pointers.residual])
    if (pointer !== undefined) moving.push({ pointer, bytes: outBytes });
  a.loop(whole, () => {
    emitBlock(a, spec, columns, pointers, a.lanes);
    for (const { pointer, bytes } of moving) a.addInt(pointer, bytes);
    a.addInt(pointers.weights, weightBytes);
  });
  if (rest > 0) emitBlock(a, spec, columns, pointers, rest);
  for (const { pointer, bytes } of moving) a.subtractInt(pointer, whole * bytes);
  a.subtractInt(pointers.weights, whole * weightBytes);
}

function emitBlock(
  a: VectorAssembler,
  spec: DepthwiseSpec,
  columns: Reaches,
  pointers: Pointers,
  count: number,
): void {
  const rows = spec.rows.reaches;
  for (let firstRow = 0; firstRow < rows.length; firstRow += spec.tile.rows)
    for (let firstColumn = 0; firstColumn < columns.length; firstColumn += spec.tile.columns) {
      const part: Part = {
        firstRow,
        firstColumn,
        rows: rows.slice(firstRow, firstRow + spec.tile.rows),
        columns: columns.slice(firstColumn, firstColumn + spec.tile.columns),
      };
      emitPart(a, spec, part, pointers, count);
    }
}
