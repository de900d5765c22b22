/** Copies a matrix with its rows as columns, number by number: for small matrices, as there are no shuffles. */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { KernelSpec, Tile } from '../plan.ts';
import type { BufferPlace } from '../rename-buffers.ts';

const SLOT = { from: 1, to: 2 } as const;
const COLUMNS_A_TURN = 16;

export interface Turn {
  readonly rows: number;
  readonly columns: number;
  readonly from: BufferPlace;
  /** Numbers from one row to the next. */
  readonly fromRow: number;
  readonly to: BufferPlace;
  /** Numbers from one row of the result, which was a column, to the next. */
  readonly toRow: number;
}

/** to[column][row] = from[row][column] */
export function turnTile({ rows, columns, from, fromRow, to, toRow }: Turn): Tile {
  const kernel: KernelSpec = {
    name: `f32_turn_${rows}x${columns}_s${fromRow},${toRow}`,
    generate: (a) => emitTurn(a, { rows, columns, fromRow, toRow }),
  };
  return { kernel, slots: [from, to] };
}

type Sizes = Pick<Turn, 'rows' | 'columns' | 'fromRow' | 'toRow'>;

function emitTurn(a: VectorAssembler, { rows, columns, fromRow, toRow }: Sizes): void {
  const [from, to, x] = [a.slot(SLOT.from), a.slot(SLOT.to), a.newVec()];
  const whole = Math.floor(columns / COLUMNS_A_TURN);
  a.loop(rows, () => {
    a.loop(whole, () => emitColumns(a, from, to, x, COLUMNS_A_TURN, toRow));
    emitColumns(a, from, to, x, columns % COLUMNS_A_TURN, toRow);
    a.addInt(from, (fromRow - columns) * 4);
    a.addInt(to, (1 - columns * toRow) * 4);
  });
  a.freeVec(x);
  a.freeInt(from, to);
}

function emitColumns(a: VectorAssembler, from: Int, to: Int, x: Vec, columns: number, toRow: number): void {
  if (columns === 0) return;
  for (let column = 0; column < columns; column++) {
    a.load(x, at(from, column * 4), 1);
    a.store(at(to, column * toRow * 4), x, 1);
  }
  a.addInt(from, columns * 4);
  a.addInt(to, columns * toRow * 4);
}
