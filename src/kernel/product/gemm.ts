/**
 * Matrix products of two tensors, as training has them: z = x·Wᵀ, dx = dz·W, dW = dzᵀ·x.
 *
 *     in place   B is read as it lies, a few neighbouring columns of each row
 *     packed     B is laid out in panels first, which transposes it where it must be, and saves caches from rows
 *                that lie far apart
 *
 * Long sums of small products (a gradient of weights sums over all positions of a batch) are cut into parts that
 * are summed apart and added up in order.
 */
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { storesPast } from '../plan/large-tensors.ts';
import type { Slot, TaskPlan, Tile } from '../plan/plan.ts';
import { type Span, spans, wantedTiles } from '../plan/split-work.ts';
import { evenParts } from '../plan/window-blocks.ts';
import { CHUNK_STEPS, type GemmSpec, gemmKernel, gemmSlots } from './gemm-kernel.ts';
import { type Packing, packedBytes, packTiles, panelOffset } from './gemm-pack.ts';
import { type SumTask, sumTiles } from './gemm-sum.ts';
import { type GemmLayout, type GemmRow, type GemmTask, gemmLayout } from './gemm-task.ts';
import { type PanelGroup, type PanelTile, panelGroups, panelTiles } from './panel-tiles.ts';

export type { GemmTask } from './gemm-task.ts';

/** Steps a part of a sum has at least, so that adding the parts up costs little. */
const STEPS_A_PART = 512;
/** A sum is cut when it is so many times longer than C is tall and wide: else cutting C makes tiles enough. */
const LONG_SUM = 4;
/** Bytes of A that a tile reads again for each panel: they should stay in the second cache. */
const A_BYTES_A_TILE = 2 ** 18;
/** Rows of C over which the cost of packing B is spread. */
const ROWS_WORTH_PACKING = 512;
/** Lines of each operand that a turn fetches at most. */
const MOST_LINES = 4;
/** Packed panels should stay in the caches until they are used. */
const BYTES_WORTH_PACKING = 2 ** 22;

interface Context {
  readonly target: VectorTarget;
  readonly task: GemmTask;
  readonly layout: GemmLayout;
  readonly groups: readonly PanelGroup[];
  /** Rows of each block of C, from the first row on. */
  readonly blocks: readonly number[];
  /** Absent where B is read in place. */
  readonly packing: Packing | undefined;
  /** Absent where sums are not cut. */
  readonly sum: SumTask | undefined;
}

/** Steps, panels and blocks that a tile takes. */
interface Share {
  readonly steps: Span;
  readonly part: number;
  readonly group: PanelGroup;
  readonly panels: Span;
  readonly blocks: Span;
}

function planProduct(target: VectorTarget, task: GemmTask, packs: boolean, tile?: PanelTile): TaskPlan {
  const { m, n, k, transposeB: transposed, accumulate } = task;
  const { lanes } = target;
  const layout = gemmLayout(task);
  const flops = 2 * m * n * k;
  const vectors = Math.ceil(n / lanes);
  const chosen = tile ?? panelTiles(target, { positions: m, vectors, steps: k })[0];
  const groups = panelGroups(n, lanes, chosen?.vectors ?? 1);
  const packing = packs ? { transposed, bRow: layout.bRow, k, lanes, groups } : undefined;
  const offset = packing ? packedBytes(packing) : 0;
  const parts = partsOfSum(task, flops);
  const partRow = vectors * lanes * 4;
  const between = m * partRow;
  const sum =
    parts > 1 ? { m, n, parts, offset, partRow, between, cRow: layout.cRow, accumulate } : undefined;
  const blocks = evenParts(m, chosen?.positions ?? 1);
  const context: Context = { target, task, layout, groups, blocks, packing, sum };
  const products = sharesOf(context, flops, parts).map((share) => productTile(context, share));
  const steps: (readonly Tile[])[] = [products];
  if (packing) steps.unshift(packTiles(packing, Math.ceil(k / STEPS_A_PART)));
  if (sum) steps.push(sumTiles(sum, wantedTiles(parts * m * n)));
  return { constants: [], scratchBytes: offset + (sum ? parts * m * partRow : 0), steps, flops };
}

function partsOfSum({ m, n, k }: GemmTask, flops: number): number {
  if (k < LONG_SUM * Math.max(m, n)) return 1;
  return Math.max(1, Math.min(wantedTiles(flops), Math.floor(k / STEPS_A_PART)));
}

/** Cuts the sum first, then the longer side of C. */
function sharesOf(context: Context, flops: number, parts: number): readonly Share[] {
  const { m, n, k } = context.task;
  const { groups, blocks } = context;
  const wanted = Math.ceil(wantedTiles(flops) / parts);
  const panels = groups.reduce((count, group) => count + group.count, 0);
  const panelParts = n > m ? Math.min(wanted, panels) : Math.ceil(wanted / Math.min(wanted, blocks.length));
  const cacheParts = Math.ceil((m * Math.min(k, STEPS_A_PART) * 4) / A_BYTES_A_TILE);
  const blockParts = Math.max(cacheParts, Math.ceil(wanted / panelParts));
  return spans(k, parts).flatMap((steps, part) =>
    groups.flatMap((group) =>
      spans(group.count, Math.max(1, Math.round((panelParts * group.count) / panels))).flatMap((panels) =>
        spans(blocks.length, blockParts).map((blocks) => ({ steps, part, group, panels, blocks })),
      ),
    ),
  );
}

function productTile(context: Context, { steps, part, group, panels, blocks }: Share): Tile {
  const { target, task, layout, packing, sum } = context;
  const { lanes } = target;
  const { m, n, k } = task;
  const rowsBefore = context.blocks.slice(0, blocks.first).reduce((count, block) => count + block, 0);
  const own = context.blocks.slice(blocks.first, blocks.end);
  const heights = [...new Set(context.blocks)];
  const column = (group.firstVector + panels.first * group.vectors) * lanes;
  const panelRow = group.vectors * lanes * 4;
  const cRow = sum?.partRow ?? layout.cRow;
  const spec: GemmSpec = {
    aRow: layout.aRow,
    aStep: layout.aStep,
    bStep: packing ? panelRow : layout.bRow,
    bPanel: packing ? task.k * panelRow : panelRow,
    cRow,
    vectors: group.vectors,
    lastLanes: group.lastLanes,
    wholeVectors: packing !== undefined,
    heights,
    chunkAhead: chunkAhead(context),
    past:
      task.past === true &&
      k <= CHUNK_STEPS &&
      sum === undefined &&
      cRow === n * 4 &&
      storesPast(m, m * cRow, n),
  };
  const b: Slot = packing
    ? { buffer: 'scratch', offset: panelOffset(packing, group, panels.first) + steps.first * panelRow }
    : { buffer: 'input1', offset: steps.first * layout.bRow + column * 4 };
  const cOffset = rowsBefore * cRow + column * 4;
  const c: Slot = sum
    ? { buffer: 'scratch', offset: sum.offset + part * task.m * cRow + cOffset }
    : { buffer: 'output', offset: cOffset };
  const slots = gemmSlots(target, spec, {
    a: { buffer: 'input0', offset: rowsBefore * layout.aRow + steps.first * layout.aStep },
    b,
    c,
    holds: task.accumulate && sum === undefined,
    steps: steps.end - steps.first,
    panels: panels.end - panels.first,
    repeats: heights.map((height) => own.filter((block) => block === height).length),
  });
  return { kernel: gemmKernel(spec), slots };
}

/** Turns of the innermost loop in a chunk of one block, on machines that fetch at all. */
const TURNS_A_CHUNK = CHUNK_STEPS / 4;

/** So many lines a turn fetch a chunk of both operands while the one before is worked on. */
function chunkAhead({ task, layout, packing, groups, blocks }: Context): number {
  const { m, n, k, transposeA } = task;
  const dense = layout.aStep === m * 4 && layout.bRow === n * 4;
  if (!transposeA || packing !== undefined || !dense || k < 2 * CHUNK_STEPS) return 0;
  const passes = blocks.length * groups.reduce((count, group) => count + group.count, 0);
  return Math.min(MOST_LINES, Math.ceil((CHUNK_STEPS * Math.max(m, n) * 4) / 64 / (passes * TURNS_A_CHUNK)));
}

/** B laid out in panels first. @param tile how much of C to keep in registers */
function planPackedGemm(target: VectorTarget, task: GemmTask, tile?: PanelTile): TaskPlan {
  return planProduct(target, task, true, tile);
}

/** B read as it lies. @param tile how much of C to keep in registers */
export function planGemmInPlace(target: VectorTarget, task: GemmTask, tile?: PanelTile): TaskPlan {
  return planProduct(target, task, false, tile);
}

/** A·B, Aᵀ·B: no operand is copied. */
const inPlaceRow: GemmRow = {
  name: 'in place',
  can: ({ transposeB }) => !transposeB,
  pays: ({ m, n, k }) => m < ROWS_WORTH_PACKING || n * k * 4 > BYTES_WORTH_PACKING,
  plan: planGemmInPlace,
};

/** All transposes: B is packed in panels first. */
const packedRow: GemmRow = {
  name: 'packed',
  can: () => true,
  pays: () => true,
  plan: planPackedGemm,
};

/** In the order of preference; the last applies to every product. */
export const gemmRows: readonly GemmRow[] = [inPlaceRow, packedRow];

/** The row that `planGemm` takes. */
export function gemmRow(task: GemmTask): GemmRow {
  return gemmRows.find(({ can, pays }) => can(task) && pays(task)) ?? packedRow;
}

/**
 * Buffers: `input0` A, `input1` B, `output` C.
 * @throws ShapeError when sizes or leading dimensions do not fit together
 */
export function planGemm(target: VectorTarget, task: GemmTask): TaskPlan {
  gemmLayout(task);
  return task.rounded?.gemm(target, task) ?? gemmRow(task).plan(target, task);
}
