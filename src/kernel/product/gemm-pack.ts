/**
 * Lays op(B) out in panels before a product: panel after panel of [k][vectors·lanes], columns beyond n undefined.
 * Either way of storing B is read along its rows; a transposed one number by number, as there are no shuffles.
 */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Slot, Tile } from '../plan/plan.ts';
import { spans } from '../plan/split-work.ts';
import { countBySlot } from '../vector/emit.ts';
import { partAt, partsOf } from '../vector/vector-span.ts';
import type { PanelGroup } from './panel-tiles.ts';

const SLOT = { from: 1, to: 2, turns: 3, steps: 4 } as const;

/** Steps that a stored row gives at a time: a line of cache. */
const STEPS_A_TURN = 16;

interface PackSpec {
  readonly transposed: boolean;
  /** Bytes from one stored row of B to the next. */
  readonly bRow: number;
  /** Columns of a panel that are columns of B, and bytes of one of its rows. */
  readonly columns: number;
  readonly panelRow: number;
}

function packKernel(spec: PackSpec): KernelSpec {
  const { transposed, bRow, columns, panelRow } = spec;
  return {
    name: `f32_pack${transposed ? '_transposed' : ''}_${columns}_s${bRow},${panelRow}`,
    generate: (a) => emitPack(a, spec),
  };
}

function emitPack(a: VectorAssembler, spec: PackSpec): void {
  const from = a.slot(SLOT.from);
  const to = a.slot(SLOT.to);
  const x = a.newVec();
  if (spec.transposed) {
    countBySlot(a, SLOT.turns, () => emitTurned(a, spec, from, to, x, STEPS_A_TURN));
    countBySlot(a, SLOT.steps, () => emitTurned(a, spec, from, to, x, 1));
  } else
    countBySlot(a, SLOT.steps, () => {
      for (const part of partsOf(spec.columns, a.lanes)) {
        a.load(x, partAt(from, part), part.lanes);
        a.store(partAt(to, part), x, part.lanes);
      }
      a.addInt(from, spec.bRow);
      a.addInt(to, spec.panelRow);
    });
  a.freeVec(x);
  a.freeInt(from, to);
}

/** A few numbers of each stored row become a column of as many rows of the panel. */
function emitTurned(
  a: VectorAssembler,
  { bRow, columns, panelRow }: PackSpec,
  from: Int,
  to: Int,
  x: Vec,
  steps: number,
): void {
  a.loop(columns, () => {
    for (let s = 0; s < steps; s++) {
      a.load(x, at(from, s * 4), 1);
      a.store(at(to, s * panelRow), x, 1);
    }
    a.addInt(from, bRow);
    a.addInt(to, 4);
  });
  a.addInt(from, steps * 4 - columns * bRow);
  a.addInt(to, steps * panelRow - columns * 4);
}

export interface Packing {
  readonly transposed: boolean;
  readonly bRow: number;
  readonly k: number;
  readonly lanes: number;
  readonly groups: readonly PanelGroup[];
}

export function packedBytes({ k, lanes, groups }: Packing): number {
  return groups.reduce((sum, { count, vectors }) => sum + count * vectors, 0) * k * lanes * 4;
}

/** Where a panel begins: panels of all groups lie one after the other. */
export function panelOffset({ k, lanes }: Packing, group: PanelGroup, panel: number): number {
  return (group.firstVector + panel * group.vectors) * k * lanes * 4;
}

/** From B in `input1` to panels in `scratch`. @param parts in how many parts each panel is cut */
export function packTiles(packing: Packing, parts: number): readonly Tile[] {
  const { transposed, bRow, k, lanes, groups } = packing;
  return groups.flatMap((group) => {
    const columns = (group.vectors - 1) * lanes + group.lastLanes;
    const panelRow = group.vectors * lanes * 4;
    const kernel = packKernel({ transposed, bRow, columns, panelRow });
    return Array.from({ length: group.count }, (_, panel) =>
      spans(k, parts).map(({ first, end }): Tile => {
        const column = (group.firstVector + panel * group.vectors) * lanes;
        const offset = transposed ? column * bRow + first * 4 : first * bRow + column * 4;
        const from: Slot = { buffer: 'input1', offset };
        const to: Slot = {
          buffer: 'scratch',
          offset: panelOffset(packing, group, panel) + first * panelRow,
        };
        const turns = transposed ? Math.floor((end - first) / STEPS_A_TURN) : 0;
        return { kernel, slots: [from, to, turns, end - first - turns * STEPS_A_TURN] };
      }),
    ).flat();
  });
}
