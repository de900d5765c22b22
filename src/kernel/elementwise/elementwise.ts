import {
  at,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import type { ActivationName } from '../../graph/activations.ts';
import { elementCount, type Shape } from '../../tensor/tensor.ts';
import type { BufferName, KernelSpec, Slot, TaskPlan, Tile, TileStep } from '../plan/plan.ts';
import { emitActivation } from '../vector/activation.ts';
import { emitActivationGrad } from '../vector/activation-grad.ts';
import { affineTile, paddedChannels } from '../vector/affine-vectors.ts';
import { loadAs, type StorageType, storageBytes, storeAs } from '../vector/storage.ts';
import { overRow, type Part, partAt, shares } from '../vector/vector-span.ts';

/**
 * One link of a chain y = f_n(… f_1(input0)), element by element. `input` counts the task's inputs from 1.
 * - affine: · scale[c] + shift[c], over the last axis (an inference batch norm)
 * - norm: the same from the inputs gamma, beta, mean and variance [C]
 * - gate: · input [N,1,1,C]
 * - derivative: · fn′(input), or of fn's value where the derivative follows from that
 */
export type ElementwiseLink =
  | { readonly kind: 'add' | 'multiply' | 'gate'; readonly input: number }
  | { readonly kind: 'affine'; readonly scale: Float32Array; readonly shift: Float32Array }
  | {
      readonly kind: 'norm';
      readonly inputs: readonly [gamma: number, beta: number, mean: number, variance: number];
      readonly eps: number;
    }
  | { readonly kind: 'activation'; readonly fn: ActivationName }
  | { readonly kind: 'derivative'; readonly fn: ActivationName; readonly input: number }
  | { readonly kind: 'scale'; readonly factor: number };

export interface ElementwiseTask {
  readonly shape: Shape;
  readonly links: readonly ElementwiseLink[];
  /** What the output holds; default f32, as inputs do always. */
  readonly output?: StorageType;
}

/** f32 a tile writes: small enough for the first cache, large enough that starting it costs nothing. */
const TILE_ELEMENTS = 4096;
/** Tiles enough for any number of threads; where there would be more, larger ones stream just as well. */
const MOST_TILES = 64;
/** Rows that are walked once for each few vectors of channels should stay in the second cache meanwhile. */
const MOST_ROW_ELEMENTS = 32768;
/** Vectors held at once; activations need some beside them. */
const VECTORS = 4;
/** Pointers that a kernel can walk along with its two counters on every target. */
const MOST_POINTERS = 9;

/** A kernel walks rows of `channels` f32; chains without channel operands see one long row. */
interface Extent {
  readonly rows: number;
  readonly channels: number;
}

/** A link together with where its operand comes from. */
interface Operand {
  readonly link: ElementwiseLink;
  readonly source: 'element' | 'channel' | 'none';
  readonly buffer: BufferName;
  /** Bytes. */
  readonly offset: number;
}

/** Chain of element-wise ops. The output may overwrite the inputs that `elementwiseInPlace` names. */
export function planElementwise(target: VectorTarget, task: ElementwiseTask): TaskPlan {
  const constants: Uint8Array[] = [];
  const vectors: Tile[] = [];
  const channels = task.shape.at(-1) ?? 1;
  const vectorBytes = 2 * paddedChannels(channels) * 4;
  const operands = task.links.map((link): Operand => {
    if (link.kind === 'affine') {
      constants.push(affineBytes(link.scale, link.shift));
      return { link, source: 'channel', buffer: `constant${constants.length - 1}`, offset: 0 };
    }
    if (link.kind === 'norm') {
      const offset = vectors.length * vectorBytes;
      vectors.push(affineTile({ channels, eps: link.eps, inputs: link.inputs, offset }));
      return { link, source: 'channel', buffer: 'scratch', offset };
    }
    if (link.kind === 'activation' || link.kind === 'scale')
      return { link, source: 'none', buffer: 'input0', offset: 0 };
    const source = link.kind === 'gate' ? 'channel' : 'element';
    return { link, source, buffer: `input${link.input}`, offset: 0 };
  });
  const passes = splitPasses(operands);
  const { shape, output = 'f32' } = task;
  return {
    constants,
    scratchBytes: vectors.length * vectorBytes,
    steps: [
      ...(vectors.length > 0 ? [vectors] : []),
      ...passes.map((pass, i) =>
        planPass(target, shape, pass, { from: i === 0 ? 'input0' : 'output', output }),
      ),
    ],
    flops: elementCount(task.shape) * task.links.length,
  };
}

/**
 * Inputs of the output's shape that it may overwrite: all, or none where the chain takes several passes, for an
 * input may be read again in a later one.
 */
export function elementwiseInPlace(links: readonly ElementwiseLink[]): readonly number[] {
  const whole = links.flatMap((link) =>
    link.kind === 'add' || link.kind === 'multiply' || link.kind === 'derivative' ? [link.input] : [],
  );
  const pointers = links.filter(({ kind }) => kind !== 'activation' && kind !== 'scale').length + 2;
  return pointers > MOST_POINTERS ? [] : [0, ...whole];
}

function splitPasses(operands: readonly Operand[]): readonly (readonly Operand[])[] {
  const passes: Operand[][] = [[]];
  let pointers = 2;
  for (const operand of operands) {
    if (operand.source !== 'none' && ++pointers > MOST_POINTERS) {
      passes.push([]);
      pointers = 3;
    }
    passes.at(-1)?.push(operand);
  }
  return passes;
}

/** scale[0…C), shift[0…C), each padded to 64 bytes so that whole vectors may be read. */
function affineBytes(scale: Float32Array, shift: Float32Array): Uint8Array {
  const padded = paddedChannels(scale.length);
  const both = new Float32Array(2 * padded);
  both.set(scale, 0);
  both.set(shift, padded);
  return new Uint8Array(both.buffer);
}

/** Where a pass reads from, and what the output holds. */
interface Ends {
  readonly from: 'input0' | 'output';
  readonly output: StorageType;
}

const sourceType = ({ from, output }: Ends): StorageType => (from === 'output' ? output : 'f32');

function planPass(target: VectorTarget, shape: Shape, operands: readonly Operand[], ends: Ends): TileStep {
  const total = elementCount(shape);
  const byChannel = operands.some((operand) => operand.source === 'channel');
  const channels = shape.at(-1) ?? 1;
  const kernels = new Map<number, KernelSpec>();
  /** One for each number of elements: all but the last tiles are alike. */
  const kernelFor = (extent: Extent): KernelSpec => {
    const elements = extent.rows * extent.channels;
    const kernel = kernels.get(elements) ?? kernelOf(target, operands, ends, extent);
    kernels.set(elements, kernel);
    return kernel;
  };
  if (!byChannel)
    return shares(total, Math.max(TILE_ELEMENTS, Math.ceil(total / MOST_TILES))).map(({ start, count }) =>
      tile(kernelFor({ rows: 1, channels: count }), operands, ends, start, 0),
    );
  const images = shape[0] ?? 1;
  const elements = Math.max(TILE_ELEMENTS, Math.min(MOST_ROW_ELEMENTS, total / MOST_TILES));
  const rows = total / images / channels;
  const tiles: Tile[] = [];
  for (let image = 0; image < images; image++)
    for (const { start, count } of shares(rows, Math.ceil(elements / channels)))
      tiles.push(
        tile(
          kernelFor({ rows: count, channels }),
          operands,
          ends,
          (image * rows + start) * channels,
          image * channels,
        ),
      );
  return tiles;
}

function tile(
  kernel: KernelSpec,
  operands: readonly Operand[],
  ends: Ends,
  element: number,
  gateElement: number,
): Tile {
  const slots: Slot[] = [
    { buffer: ends.from, offset: element * storageBytes(sourceType(ends)) },
    { buffer: 'output', offset: element * storageBytes(ends.output) },
  ];
  for (const { link, source: from, buffer, offset: start } of operands) {
    if (from === 'none') continue;
    const offset = from === 'element' ? element : link.kind === 'gate' ? gateElement : 0;
    slots.push({ buffer, offset: start + offset * 4 });
  }
  return { kernel, slots };
}

function kernelOf(
  target: VectorTarget,
  operands: readonly Operand[],
  ends: Ends,
  extent: Extent,
): KernelSpec {
  const links = operands.map(({ link }) => linkName(link));
  return {
    name: `${sourceType(ends)}-${ends.output}_elementwise_${links.join('_') || 'copy'}_${extent.rows}r${extent.channels}c__${target.name}`,
    generate: (a) => generate(a, operands, ends, extent),
  };
}

function linkName(link: ElementwiseLink): string {
  if (link.kind === 'activation') return link.fn;
  if (link.kind === 'derivative') return `${link.fn}-derivative`;
  return link.kind === 'scale' ? `times${link.factor}` : link.kind;
}

/** Channels outside, rows inside, so that gates and their like stay in the first cache. */
function generate(
  a: VectorAssembler,
  operands: readonly Operand[],
  ends: Ends,
  { rows, channels }: Extent,
): void {
  let slot = 1;
  const source = a.slot(slot++);
  const output = a.slot(slot++);
  const pointers = operands.map((operand) => (operand.source === 'none' ? undefined : a.slot(slot++)));
  const walking = (wanted: Operand['source']): Int[] =>
    pointers.filter((pointer, i): pointer is Int => pointer !== undefined && operands[i]?.source === wanted);
  const elements = [source, output, ...walking('element')];
  const all = [...elements, ...walking('channel')];
  const typeOf = (pointer: Int): StorageType =>
    pointer === source ? sourceType(ends) : pointer === output ? ends.output : 'f32';
  overRow(
    a,
    channels,
    VECTORS,
    all,
    (parts) => {
      const body = (): void => emitLinks(a, operands, pointers, { source, output, parts, channels, ends });
      if (rows === 1) return body();
      a.loop(rows, () => {
        body();
        for (const pointer of elements) a.addInt(pointer, channels * storageBytes(typeOf(pointer)));
      });
      for (const pointer of elements) a.addInt(pointer, -rows * channels * storageBytes(typeOf(pointer)));
    },
    typeOf,
  );
}

interface Span {
  readonly ends: Ends;
  readonly source: Int;
  readonly output: Int;
  readonly parts: readonly Part[];
  readonly channels: number;
}

function emitLinks(
  a: VectorAssembler,
  operands: readonly Operand[],
  pointers: readonly (Int | undefined)[],
  { source, output, parts, channels, ends }: Span,
): void {
  const values = parts.map((part) => {
    const value = a.newVec();
    const type = sourceType(ends);
    loadAs(a, type, value, partAt(source, part, type), part.lanes);
    return value;
  });
  operands.forEach(({ link }, i) => {
    const pointer = pointers[i];
    parts.forEach((part, j) => {
      const value = values[j];
      if (value !== undefined) emitLink(a, link, value, pointer, part, channels);
    });
  });
  parts.forEach((part, j) => {
    const value = values[j];
    if (value !== undefined) storeAs(a, ends.output, partAt(output, part, ends.output), value, part.lanes);
  });
  a.freeVec(...values);
}

function emitLink(
  a: VectorAssembler,
  link: ElementwiseLink,
  value: Vec,
  pointer: Int | undefined,
  part: Part,
  channels: number,
): void {
  if (link.kind === 'activation') emitActivation(a, link.fn, value);
  if (link.kind === 'scale') {
    const factor = a.newVec();
    a.constant(factor, link.factor);
    a.binary('multiply', value, value, factor);
    a.freeVec(factor);
  }
  if (link.kind === 'activation' || link.kind === 'scale' || pointer === undefined) return;
  const operand = a.newVec();
  if (link.kind === 'affine' || link.kind === 'norm') {
    a.load(operand, at(pointer, part.offset + paddedChannels(channels) * 4));
    a.fma(operand, value, partAt(pointer, part));
    a.move(value, operand);
  } else {
    a.load(operand, partAt(pointer, part), part.lanes);
    if (link.kind === 'derivative') emitActivationGrad(a, link.fn, value, operand);
    else a.binary(link.kind === 'add' ? 'add' : 'multiply', value, value, operand);
  }
  a.freeVec(operand);
}
