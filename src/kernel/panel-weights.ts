import type { Tensor } from '../tensor/tensor.ts';
import type { ConvTask } from './convolution-row.ts';
import type { PanelGroup } from './panel-tiles.ts';
import type { PackedLater } from './plan.ts';

export interface PackedPanels {
  readonly bytes: PackedLater;
  /** Where the first panel of a group of panels of a group of channels begins. */
  readonly offset: (convGroup: number, group: number) => number;
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
export function packPanels(task: ConvTask, lanes: number, groups: readonly PanelGroup[]): PackedPanels {
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
  const write = (zeros: Uint8Array): void => {
    const data = new Float32Array(zeros.buffer, zeros.byteOffset, zeros.length / 4);
    for (const panel of panels) writePanel(data, panel, task);
  };
  return { bytes: { length: at * 4, write }, offset: (convGroup, group) => offsets[convGroup]?.[group] ?? 0 };
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
