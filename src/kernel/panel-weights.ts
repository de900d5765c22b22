import type { ConvTask } from './convolution-row.ts';
import type { PanelGroup } from './panel-tiles.ts';

export interface PackedPanels {
  readonly bytes: Uint8Array;
  /** Where the first panel of a group of panels of a group of channels begins. */
  readonly offset: (convGroup: number, group: number) => number;
}

/** OIHW → panels as panel-kernel.ts describes them, for each group of channels; missing channels are 0. */
export function packPanels(task: ConvTask, lanes: number, groups: readonly PanelGroup[]): PackedPanels {
  const { weight, bias, geometry } = task;
  const [outChannels = 0, inner = 0, height = 0, width = 0] = weight.shape;
  const groupOut = outChannels / geometry.groups;
  const taps = height * width;
  const vectors = groups.reduce((sum, group) => sum + group.count * group.vectors, 0);
  const data = new Float32Array(geometry.groups * vectors * lanes * (1 + taps * inner));
  const offsets: number[][] = [];
  let to = 0;
  for (let g = 0; g < geometry.groups; g++) {
    offsets.push([]);
    for (const group of groups) {
      offsets[g]?.push(to * 4);
      for (let panel = 0; panel < group.count; panel++) {
        const columns = group.vectors * lanes;
        const first = (group.firstVector + panel * group.vectors) * lanes;
        const used = Math.min(columns, groupOut - first);
        const firstOut = g * groupOut + first;
        for (let j = 0; j < used; j++) data[to + j] = bias?.data[firstOut + j] ?? 0;
        let row = to + columns;
        for (let t = 0; t < taps; t++)
          for (let c = 0; c < inner; c++) {
            let from = (firstOut * inner + c) * taps + t;
            for (let j = 0; j < used; j++) {
              data[row + j] = weight.data[from] ?? 0;
              from += inner * taps;
            }
            row += columns;
          }
        to += columns * (1 + taps * inner);
      }
    }
  }
  return {
    bytes: new Uint8Array(data.buffer),
    offset: (convGroup, group) => offsets[convGroup]?.[group] ?? 0,
  };
}
