/**
 * Times every convolution of a MobileOne net on one thread, each right after the one before it as in a real run,
 * so that weights and activations come from the caches they would come from.
 *
 *     node dist/bench/kernels.js [s0…s4|gemm|gradients] [bf16|bf16x2|avx512|avx2|wasm|wasm-relaxed] [part of a layer's shape]
 *
 * With `gemm` it times the matrix products of training instead (gemm.ts), with `gradients` its gradients of
 * convolutions (conv-gradients.ts).
 */
import type { Machine, MachineMemory } from '../src/assembler/machine.ts';
import type { VectorTarget } from '../src/assembler/vector-assembler.ts';
import { EngineError, UsageError } from '../src/errors.ts';
import { activations } from '../src/graph/activations.ts';
import {
  type Bf16Precision,
  bf16Row,
  type ConvStorage,
  planBf16Convolution,
} from '../src/kernel/bf16/inference/bf16-convolution.ts';
import { productTerms } from '../src/kernel/bf16/inference/bf16-row.ts';
import { type ConvTask, convSizes, isDense } from '../src/kernel/convolution/convolution-row.ts';
import { convolutionRow, planConvolution } from '../src/kernel/convolution/convolution-task.ts';
import type { TaskPlan } from '../src/kernel/plan/plan.ts';
import type { PixelStorage } from '../src/kernel/vector/storage.ts';
import { mobileOneConfig, variantNames } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { bfloat16ToNumber } from '../src/tensor/half.ts';
import { createRandom, type Random } from '../src/tensor/random.ts';
import { area, loadPlan, type RunnablePlan } from '../test/support/run-plan.ts';
import { benchConvGradients } from './conv-gradients.ts';
import { type ConvLayer, convLayers } from './conv-layers.ts';
import { benchGemm } from './gemm.ts';
import { floatsOf, loadPeak, machineFor, percentile, timed } from './kernel-machine.ts';
import { benchNorms } from './norms.ts';

interface Timed extends StoredLayer {
  readonly row: string;
  readonly plan: RunnablePlan;
  readonly ms: number[];
}

function outputSize(task: ConvTask): number {
  const { images, outHeight, outWidth, outChannels } = convSizes(task);
  return images * outHeight * outWidth * outChannels;
}

const f32Storage: ConvStorage = { input: 'f32', output: 'f32' };

interface StoredLayer extends ConvLayer {
  readonly storage: ConvStorage;
  readonly bf16: Bf16Precision | undefined;
}

function planLayer(target: VectorTarget, { task, storage, bf16 }: StoredLayer): TaskPlan {
  return bf16 ? planBf16Convolution(target, task, storage, bf16) : planConvolution(target, task);
}

function rowName(target: VectorTarget, { task, bf16 }: StoredLayer): string {
  return (bf16 && isDense(task) ? bf16Row(target)?.name : undefined) ?? convolutionRow(task).name;
}

/** Terms of bf16 between a depthwise convolution and the product after it, f32 elsewhere. */
function stored(layers: readonly ConvLayer[], bf16: Bf16Precision | undefined): readonly StoredLayer[] {
  const inputs = layers.map(({ task }, i): PixelStorage => {
    const before = layers[i - 1]?.task;
    const terms = isDense(task) && before !== undefined && !isDense(before);
    return bf16 && terms ? { terms: productTerms(bf16, task).input } : 'f32';
  });
  return layers.map((layer, i) => {
    const storage = { input: inputs[i] ?? 'f32', output: inputs[i + 1] ?? 'f32' };
    return { ...layer, bf16, storage: bf16 ? storage : f32Storage };
  });
}

/** Loads every layer; each reads what the one before wrote, in a few buffers that take turns. */
function loadLayers(machine: Machine, layers: readonly StoredLayer[], random: Random): readonly Timed[] {
  const most = Math.max(
    ...layers.flatMap(({ task }) => [task.input.reduce((a, b) => a * b, 4), outputSize(task) * 4]),
  );
  const buffers = Array.from({ length: 3 }, () => machine.allocate(most));
  return layers.map((layer, i) => {
    const [input, output] = [buffers[i % 3], buffers[(i + 1) % 3]];
    if (input === undefined || output === undefined) throw new EngineError('bench: no buffers');
    const places = { inputs: [area(input)], output: area(output) };
    const plan = loadPlan(machine, planLayer(machine.target, layer), places);
    const numbers = layer.task.input.reduce((a, b) => a * b, 1);
    const given = floatsOf(input, numbers);
    if (i === 0) for (const at of given.keys()) given[at] = random.normal();
    const x = numbersOf(input, layer.storage.input, numbers, layer.task.input[3] ?? 1);
    plan.run();
    checkSamples(
      layer,
      x,
      numbersOf(output, layer.storage.output, outputSize(layer.task), layer.task.weight.shape[0] ?? 1),
      random,
    );
    return { ...layer, row: rowName(machine.target, layer), plan, ms: [] };
  });
}

/** A copy of what a buffer of pixels holds, as numbers. */
function numbersOf(
  memory: MachineMemory,
  storage: PixelStorage,
  length: number,
  channels: number,
): Float32Array {
  if (storage === 'f32') return floatsOf(memory, length).slice();
  const { terms } = storage;
  const { buffer, byteOffset } = memory.view(0, length * terms * 2);
  const halves = new Uint16Array(buffer, byteOffset, length * terms);
  return Float32Array.from({ length }, (_, i) => {
    const first = (i - (i % channels)) * terms + (i % channels);
    const rest = terms === 2 ? bfloat16ToNumber(halves[first + channels] ?? 0) : 0;
    return bfloat16ToNumber(halves[first] ?? 0) + rest;
  });
}

/** A few hundred outputs against sums in f64. @throws EngineError where one is wrong */
function checkSamples(layer: StoredLayer, x: Float32Array, y: Float32Array, random: Random): void {
  const { task } = layer;
  const { height, width, inChannels, outHeight, outWidth, outChannels, groupChannels } = convSizes(task);
  const { kernel, stride, dilation, padding, groups } = task.geometry;
  for (let sample = 0; sample < 300; sample++) {
    const index = random.integer(y.length);
    const o = index % outChannels;
    const position = Math.floor(index / outChannels);
    const column = position % outWidth;
    const row = Math.floor(position / outWidth) % outHeight;
    const image = Math.floor(position / (outWidth * outHeight));
    let sum = task.bias?.data[o] ?? 0;
    for (let i = 0; i < kernel[0]; i++)
      for (let j = 0; j < kernel[1]; j++) {
        const inRow = row * stride[0] - padding[0] + i * dilation[0];
        const inColumn = column * stride[1] - padding[1] + j * dilation[1];
        if (inRow < 0 || inRow >= height || inColumn < 0 || inColumn >= width) continue;
        const first = Math.floor(o / (outChannels / groups)) * groupChannels;
        for (let c = 0; c < groupChannels; c++) {
          const at = ((image * height + inRow) * width + inColumn) * inChannels + first + c;
          const weight = task.weight.data[((o * groupChannels + c) * kernel[0] + i) * kernel[1] + j] ?? 0;
          sum += (x[at] ?? 0) * weight;
        }
      }
    const expected = task.activation === null ? sum : activations[task.activation].value(sum);
    const found = y[index] ?? Number.NaN;
    const tolerance = layer.bf16 ? 2e-2 : 1e-4;
    if (!(Math.abs(found - expected) <= tolerance * (1 + Math.abs(expected))))
      throw new EngineError(`bench: ${layer.name} output ${index} is ${found}, expected ${expected}`);
  }
}

function report(layers: readonly Timed[], peak: number, totals: readonly number[]): void {
  const shapes = [...new Set(layers.map(({ shape }) => shape))];
  const column = (values: readonly (string | number)[]): string =>
    values.map((v, i) => (i === 0 ? String(v).padEnd(42) : String(v).padStart(9))).join(' ');
  console.log(column(['layer', 'row', 'times', 'tiles', 'µs', 'GFLOP/s', '% peak', 'sum ms']));
  let sum = 0;
  for (const shape of shapes) {
    const same = layers.filter((layer) => layer.shape === shape);
    const ms = same.reduce((total, layer) => total + percentile(layer.ms, 0.1), 0);
    const flops = same.reduce((total, layer) => total + 2 * layer.macs, 0);
    const rate = flops / ms / 1e6;
    const [first] = same;
    if (first === undefined) continue;
    sum += ms;
    const share = ((100 * rate) / peak).toFixed(0);
    console.log(
      column([
        shape,
        first.row,
        same.length,
        first.plan.tiles,
        ((1e3 * ms) / same.length).toFixed(1),
        rate.toFixed(1),
        share,
        ms.toFixed(3),
      ]),
    );
  }
  const flops = layers.reduce((total, layer) => total + 2 * layer.macs, 0);
  const rate = (ms: number): string => `${ms.toFixed(2)} ms, ${(flops / ms / 1e6).toFixed(0)} GFLOP/s`;
  console.log(`sum of layers (10th percentile) ${rate(sum)} of ${peak.toFixed(0)} measured peak`);
  console.log(
    `whole passes: 10th percentile ${rate(percentile(totals, 0.1))}, median ${rate(percentile(totals, 0.5))}`,
  );
  console.log(
    `code ${(layers.reduce((total, { plan }) => total + plan.codeBytes, 0) / 1024).toFixed(0)} KiB`,
  );
}

async function main([
  variantName = 's0',
  targetName = 'avx512',
  filter = '',
]: readonly string[]): Promise<void> {
  if (variantName === 'gemm') {
    await benchGemm(targetName, filter);
    return;
  }
  if (variantName === 'norms') {
    await benchNorms(targetName, filter);
    return;
  }
  if (variantName === 'gradients') {
    await benchConvGradients(targetName, filter);
    return;
  }
  const variant = variantNames.find((name) => name === variantName);
  if (variant === undefined)
    throw new UsageError(`bench: expected ${variantNames.join(', ')}, found "${variantName}".`);
  const random = createRandom(1);
  const graph = buildMobileOne(mobileOneConfig(variant), { form: 'deploy' });
  const layers = convLayers(graph, random).filter(({ shape }) => shape.includes(filter));
  const bf16 = targetName === 'bf16' || targetName === 'bf16x2' ? targetName : undefined;
  const machine = await machineFor(bf16 ? 'avx512' : targetName);
  const loaded = loadLayers(machine, stored(layers, bf16), random);
  const peak = loadPeak(machine);
  const peaks: number[] = [];
  const totals: number[] = [];
  const rounds = machine.kind === 'native' ? 300 : 60;
  for (let round = 0; round < rounds; round++) {
    peaks.push(timed(peak.run));
    let total = 0;
    for (const { plan, ms } of loaded) {
      const took = timed(plan.run);
      total += took;
      ms.push(took);
    }
    totals.push(total);
  }
  console.log(`mobileone-${variant}, 224 px, batch 1, ${targetName}, 1 thread, Node ${process.version}`);
  report(loaded, peak.flops / percentile(peaks, 0.1) / 1e6, totals);
}

await main(process.argv.slice(2));
