/** Copies a matrix with its rows as columns, number by number: for small matrices, as there are no shuffles. */
import { at, type Int, type Vec, type VectorAssembler } from '../../assembler/vector-assembler.ts';
import type { BufferPlace, KernelSpec, Tile } from '../plan/plan.ts';
import { countBySlot } from '../vector/emit.ts';

const SLOT = { from: 1, to: 2, times: 3 } as const;
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
  /** As many matrices of these sizes, and numbers from one to the next. */
  readonly repeat?: { readonly times: number; readonly from: number; readonly to: number };
}

/** to[column][row] = from[row][column] */
export function turnTile({ rows, columns, from, fromRow, to, toRow, repeat }: Turn): Tile {
  const next = repeat ?? { times: 1, from: 0, to: 0 };
  const kernel: KernelSpec = {
    name: `f32_turn_${rows}x${columns}_s${fromRow},${toRow}_n${next.from},${next.to}`,
    generate: (a) => emitTurns(a, { rows, columns, fromRow, toRow }, next),
  };
  return { kernel, slots: [from, to, next.times] };
}

type Sizes = Pick<Turn, 'rows' | 'columns' | 'fromRow' | 'toRow'>;

function emitTurns(
  a: VectorAssembler,
  sizes: Sizes,
  next: { readonly from: number; readonly to: number },
): void {
  const [from, to, x] = [a.slot(SLOT.from), a.slot(SLOT.to), a.newVec()];
  countBySlot(a, SLOT.times, () => {
    emitTurn(a, sizes, from, to, x);
    a.addInt(from, (next.from - sizes.rows * sizes.fromRow) * 4);
    a.addInt(to, (next.to - sizes.rows) * 4);
  });
  a.freeVec(x);
  a.freeInt(from, to);
}

function emitTurn(
  a: VectorAssembler,
  { rows, columns, fromRow, toRow }: Sizes,
  from: Int,
  to: Int,
  x: Vec,
): void {
  const whole = Math.floor(columns / COLUMNS_A_TURN);
  a.loop(rows, () => {
    a.loop(whole, () => emitColumns(a, from, to, x, COLUMNS_A_TURN, toRow));
    emitColumns(a, from, to, x, columns % COLUMNS_A_TURN, toRow);
    a.addInt(from, (fromRow - columns) * 4);
    a.addInt(to, (1 - columns * toRow) * 4);
  });
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
