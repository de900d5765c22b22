import type { Tensor } from '../../tensor/tensor.ts';
import type { Constant, Slot, Tile, TileStep } from '../plan/plan.ts';
import type { PanelGroup } from '../product/panel-tiles.ts';
import { type AnyConvTask, type ComputedConvTask, type ConvTask, isComputed } from './convolution-row.ts';
import { packTile } from './pack-weights.ts';

/** Weights as a kernel wants them, and what a plan needs to have them so. */
export interface PackedWeights {
  readonly constants: readonly Constant[];
  readonly scratchBytes: number;
  /** Before the kernel may run. */
  readonly steps: readonly TileStep[];
}

export interface PackedPanels extends PackedWeights {
  /** Where the first panel of a group of panels of a group of channels begins. */
  readonly at: (convGroup: number, group: number, bytes?: number) => Slot;
}

/** One panel of one group of channels; positions and sizes count numbers. */
interface Panel {
  readonly at: number;
  readonly columns: number;
  readonly firstOut: number;
  /** Columns that are channels. */
  readonly used: number;
}

/** OIHW → panels as panel-kernel.ts describes them, for each group of channels; missing channels are 0. */
export function packPanels(task: AnyConvTask, lanes: number, groups: readonly PanelGroup[]): PackedPanels {
  const { weight, geometry } = task;
  const [outChannels = 0, inner = 0, height = 0, width = 0] = weight.shape;
  const groupOut = outChannels / geometry.groups;
  const rows = 1 + height * width * inner;
  const panels: Panel[] = [];
  const offsets: number[][] = [];
  let at = 0;
  for (let g = 0; g < geometry.groups; g++) {
    offsets.push([]);
    for (const group of groups) {
      offsets[g]?.push(at * 4);
      const columns = group.vectors * lanes;
      for (let panel = 0; panel < group.count; panel++) {
        const first = (group.firstVector + panel * group.vectors) * lanes;
        panels.push({
          at,
          columns,
          firstOut: g * groupOut + first,
          used: Math.min(columns, groupOut - first),
        });
        at += columns * rows;
      }
    }
  }
  const length = at * 4;
  const place =
    (buffer: 'constant0' | 'scratch'): PackedPanels['at'] =>
    (convGroup, group, bytes = 0) => ({ buffer, offset: (offsets[convGroup]?.[group] ?? 0) + bytes });
  if (isComputed(task)) {
    const tiles = panels.map((panel) => panelTile(panel, task));
    return { constants: [], scratchBytes: length, steps: [tiles], at: place('scratch') };
  }
  const write = (zeros: Uint8Array): void => {
    const data = new Float32Array(zeros.buffer, zeros.byteOffset, zeros.length / 4);
    for (const panel of panels) writePanel(data, panel, task);
  };
  return { constants: [{ length, write }], scratchBytes: 0, steps: [], at: place('constant0') };
}

function panelTile({ at, columns, firstOut, used }: Panel, { weight, bias }: ComputedConvTask): Tile {
  const [, inner = 0, height = 0, width = 0] = weight.shape;
  const taps = height * width;
  return packTile(
    { columns: used, rowNumbers: columns, inner, taps, between: { channels: taps, taps: 1 } },
    { weight, bias, first: firstOut, panels: 1, offset: at * 4 },
  );
}

function writePanel(data: Float32Array, { at, columns, firstOut, used }: Panel, task: ConvTask): void {
  const { weight, bias } = task;
  const [, inner = 0, height = 0, width = 0] = weight.shape;
  const taps = height * width;
  for (let column = 0; column < used; column++) data[at + column] = bias?.data[firstOut + column] ?? 0;
  for (let tap = 0; tap < taps; tap++) {
    const to = at + columns * (1 + tap * inner);
    const from = firstOut * inner * taps + tap;
    turn(
      { data, at: to, row: columns },
      { data: weight.data, at: from, row: inner * taps, step: taps },
      used,
      inner,
    );
  }
}

interface Target {
  readonly data: Float32Array;
  readonly at: number;
  readonly row: number;
}

interface Source {
  readonly data: Tensor['data'];
  readonly at: number;
  readonly row: number;
  readonly step: number;
}

/** target[s][c] = source[c][s], four columns at a time: this is most of what compiling a net costs. */
function turn(target: Target, source: Source, columns: number, steps: number): void {
  const { data: to, row } = target;
  const { data: from, step } = source;
  let column = 0;
  for (; column + 4 <= columns; column += 4) {
    let put = target.at + column;
    let a = source.at + column * source.row;
    let b = a + source.row;
    let c = b + source.row;
    let d = c + source.row;
    for (let s = 0; s < steps; s++) {
      to[put] = from[a] ?? 0;
      to[put + 1] = from[b] ?? 0;
      to[put + 2] = from[c] ?? 0;
      to[put + 3] = from[d] ?? 0;
      put += row;
      a += step;
      b += step;
      c += step;
      d += step;
    }
  }
  for (; column < columns; column++) {
    const first = source.at + column * source.row;
    for (let s = 0; s < steps; s++) to[target.at + s * row + column] = from[first + s * step] ?? 0;
  }
}
