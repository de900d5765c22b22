/**
 * Times the gradients of the convolutions of MobileOne-S0 in its train form, batch 32 at 128 px, on one thread. Each
 * run takes operands that were last used long ago, as in a step of training, where no cache holds them. A gradient
 * reads both operands and writes its result once at best: GB/s counts those bytes.
 */
import type { Machine, MachineMemory } from '../src/assembler/machine.ts';
import { EngineError } from '../src/errors.ts';
import type { ConvGeometry } from '../src/graph/geometry.ts';
import { valueAt } from '../src/graph/graph.ts';
import { type ConvGradientTask, convGradientSizes } from '../src/kernel/convolution/conv-gradient-row.ts';
import { planInputGrad, planWeightGrad } from '../src/kernel/convolution/conv-gradients.ts';
import type { TaskPlan } from '../src/kernel/plan/plan.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, formatShape } from '../src/tensor/tensor.ts';
import { area, loadPlan, type RunnablePlan } from '../test/support/run-plan.ts';
import { floatsOf, machineFor, measuredPeak, timed } from './kernel-machine.ts';

type Which = 'dx' | 'dW';

interface Gradient {
  readonly what: string;
  readonly which: Which;
  readonly times: number;
  readonly task: ConvGradientTask;
}

/** Both gradients of every convolution; equal ones once. A picture has none. */
function trainingGradients(): readonly Gradient[] {
  const graph = buildMobileOne(mobileOneConfig('s0'), { form: 'train', height: 128, width: 128, batch: 32 });
  const gradients = new Map<string, Gradient>();
  for (const node of graph.nodes) {
    const [x, weight] = node.inputs;
    if (node.kind !== 'conv2d' || x === undefined || weight === undefined) continue;
    const input = valueAt(graph, x).shape;
    const [outChannels = 0] = valueAt(graph, weight).shape;
    const { geometry } = node.attrs;
    const size = `${formatShape(input.slice(1))} → ${outChannels} ${shortGeometry(geometry)}`;
    for (const which of ['dx', 'dW'] as const) {
      if (which === 'dx' && graph.inputs.includes(x)) continue;
      const what = `${which} ${size}`;
      const times = 1 + (gradients.get(what)?.times ?? 0);
      gradients.set(what, { what, which, times, task: { input, outChannels, geometry } });
    }
  }
  return [...gradients.values()];
}

function shortGeometry({ kernel, stride, groups }: ConvGeometry): string {
  return `k${kernel[0]} s${stride[0]}${groups > 1 ? ' dw' : ''}`;
}

interface Operands {
  readonly lengths: readonly [number, number, number];
}

function operandsOf({ which, task }: Gradient): Operands {
  const { images, outHeight, outWidth, outChannels, groupIn, taps } = convGradientSizes(task);
  const x = elementCount(task.input);
  const dy = images * outHeight * outWidth * outChannels;
  const weight = outChannels * groupIn * taps;
  return { lengths: which === 'dx' ? [dy, weight, x] : [x, dy, weight] };
}

/** Every (x, dy, weight) of numbers that are multiplied with each other, where one of them is at `index`. */
function sampleSum(gradient: Gradient, index: number, a: Float32Array, b: Float32Array): number {
  const { which, task } = gradient;
  const s = convGradientSizes(task);
  const { kernel, stride, padding, dilation } = task.geometry;
  let sum = 0;
  const visit = (image: number, row: number, column: number, o: number, c: number, i: number, j: number) => {
    const y = row * stride[0] - padding[0] + i * dilation[0];
    const x = column * stride[1] - padding[1] + j * dilation[1];
    if (y < 0 || y >= s.height || x < 0 || x >= s.width) return;
    const group = Math.floor(o / s.groupOut);
    const xAt = ((image * s.height + y) * s.width + x) * s.inChannels + group * s.groupIn + c;
    const dyAt = ((image * s.outHeight + row) * s.outWidth + column) * s.outChannels + o;
    const wAt = ((o * s.groupIn + c) * kernel[0] + i) * kernel[1] + j;
    if (which === 'dW') sum += (a[xAt] ?? 0) * (b[dyAt] ?? 0);
    else if (xAt === index) sum += (a[dyAt] ?? 0) * (b[wAt] ?? 0);
  };
  if (which === 'dW') {
    const tap = index % s.taps;
    const c = Math.floor(index / s.taps) % s.groupIn;
    const o = Math.floor(index / s.taps / s.groupIn);
    for (let image = 0; image < s.images; image++)
      for (let row = 0; row < s.outHeight; row++)
        for (let column = 0; column < s.outWidth; column++)
          visit(image, row, column, o, c, Math.floor(tap / kernel[1]), tap % kernel[1]);
    return sum;
  }
  const channel = index % s.inChannels;
  const pixel = Math.floor(index / s.inChannels);
  const [x, y] = [pixel % s.width, Math.floor(pixel / s.width) % s.height];
  const image = Math.floor(pixel / s.width / s.height);
  const group = Math.floor(channel / s.groupIn);
  for (let i = 0; i < kernel[0]; i++)
    for (let j = 0; j < kernel[1]; j++) {
      const row = (y + padding[0] - i * dilation[0]) / stride[0];
      const column = (x + padding[1] - j * dilation[1]) / stride[1];
      if (!Number.isInteger(row) || !Number.isInteger(column)) continue;
      if (row < 0 || row >= s.outHeight || column < 0 || column >= s.outWidth) continue;
      for (let o = group * s.groupOut; o < (group + 1) * s.groupOut; o++)
        visit(image, row, column, o, channel % s.groupIn, i, j);
    }
  return sum;
}

/** Some numbers of the result against sums in f64. @throws EngineError where one is wrong */
function check(gradient: Gradient, a: Float32Array, b: Float32Array, found: Float32Array): void {
  const random = createRandom(2);
  const { macs } = convGradientSizes(gradient.task);
  const steps = macs / found.length;
  for (let sample = 0; sample < 10; sample++) {
    const index = random.integer(found.length);
    const expected = sampleSum(gradient, index, a, b);
    if (!(Math.abs((found[index] ?? Number.NaN) - expected) <= 1e-6 * (steps + 10 + Math.abs(expected))))
      throw new EngineError(
        `bench: ${gradient.what} is ${found[index]} at ${index}, expected ${expected} (sample ${sample})`,
      );
  }
}

interface Timing {
  readonly gradient: Gradient;
  readonly ms: number;
  readonly bytes: number;
  readonly flops: number;
  readonly tiles: number;
}

/** Bytes after which a cache holds nothing of what was read first. */
const FORGOTTEN_BYTES = 2 ** 28;

interface OperandSet {
  readonly memories: readonly MachineMemory[];
  readonly plan: RunnablePlan;
}

function loadSet(machine: Machine, gradient: Gradient, made: TaskPlan): OperandSet {
  const { lengths } = operandsOf(gradient);
  const memories = lengths.map((length) => machine.allocate(length * 4));
  const [a, b, c] = memories;
  if (a === undefined || b === undefined || c === undefined) throw new EngineError('bench: no buffers');
  const random = createRandom(1);
  for (const view of [floatsOf(a, lengths[0]), floatsOf(b, lengths[1])])
    for (let i = 0; i < view.length; i++) view[i] = random.uniform() - 0.5;
  return { memories, plan: loadPlan(machine, made, { inputs: [area(a), area(b)], output: area(c) }) };
}

function timeGradient(machine: Machine, gradient: Gradient, rounds: number): Timing {
  const { lengths } = operandsOf(gradient);
  const bytes = 4 * lengths.reduce((sum, length) => sum + length, 0);
  const made = (gradient.which === 'dx' ? planInputGrad : planWeightGrad)(machine.target, gradient.task);
  const count = Math.max(2, Math.min(24, Math.ceil(FORGOTTEN_BYTES / bytes)));
  const sets = Array.from({ length: count }, () => loadSet(machine, gradient, made));
  const ms: number[] = [];
  for (let round = 0; round < Math.max(2, rounds / count); round++)
    for (const { plan, memories } of sets) {
      ms.push(timed(plan.run));
      const [a, b, c] = memories;
      // Asked for now: WebAssembly's memory may have grown.
      if (round === 0 && a && b && c)
        check(gradient, floatsOf(a, lengths[0]), floatsOf(b, lengths[1]), floatsOf(c, lengths[2]));
    }
  for (const { plan, memories } of sets) {
    plan.free();
    for (const memory of memories) memory.free();
  }
  const tiles = made.steps.reduce((sum, step) => sum + step.length, 0);
  return { gradient, ms: Math.min(...ms.slice(count)), bytes, flops: made.flops, tiles };
}

/** Bytes a second of a copy, read and written, much larger than caches of a core. */
function copyRate(): number {
  const from = new Float32Array(2 ** 23).fill(1);
  const to = new Float32Array(from.length).fill(2);
  const ms = Array.from({ length: 20 }, () => timed(() => to.set(from)));
  return (2 * from.byteLength) / Math.min(...ms) / 1e6;
}

/** @param filter part of a gradient's name */
export async function benchConvGradients(target: string, filter: string): Promise<void> {
  const rounds = target.startsWith('wasm') ? 120 : 48;
  const timings: Timing[] = [];
  let peak = 0;
  for (const gradient of trainingGradients().filter(({ what }) => what.includes(filter))) {
    // WebAssembly's memory is given back with its machine only.
    const machine = await machineFor(target);
    peak = Math.max(peak, measuredPeak(machine));
    timings.push(timeGradient(machine, gradient, rounds));
    machine.dispose();
  }
  console.log(`mobileone-s0, train form, 128 px, batch 32, ${target}, 1 thread, Node ${process.version}`);
  console.log(`peak ${peak.toFixed(0)} GFLOP/s, copying ${copyRate().toFixed(1)} GB/s read and written`);
  console.log(`${'gradient (minima)'.padEnd(34)} times tiles       ms  GFLOP/s  % peak    GB/s   all ms`);
  const totals = { dx: 0, dW: 0 };
  for (const { gradient, ms, bytes, flops, tiles } of timings) {
    totals[gradient.which] += ms * gradient.times;
    const rate = flops / ms / 1e6;
    const cells = [
      String(gradient.times).padStart(5),
      String(tiles).padStart(5),
      ms.toFixed(3).padStart(8),
      rate.toFixed(1).padStart(8),
      ((100 * rate) / peak).toFixed(0).padStart(7),
      (bytes / ms / 1e6).toFixed(1).padStart(7),
      (ms * gradient.times).toFixed(2).padStart(8),
    ];
    console.log(`${gradient.what.padEnd(34)} ${cells.join(' ')}`);
  }
  console.log(`dx ${totals.dx.toFixed(1)} ms, dW ${totals.dW.toFixed(1)} ms`);
}
