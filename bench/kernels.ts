/**
 * Times every convolution of a MobileOne net on one thread, each right after the one before it as in a real run,
 * so that weights and activations come from the caches they would come from.
 *
 *     node dist/bench/kernels.js [s0…s4|gemm] [avx512|avx2|wasm|wasm-relaxed] [part of a layer's shape]
 *
 * With `gemm` it times the matrix products of training instead (gemm.ts).
 */
import type { Machine } from '../src/assembler/machine.ts';
import { EngineError, UsageError } from '../src/errors.ts';
import { activations } from '../src/graph/activations.ts';
import { type ConvTask, convSizes } from '../src/kernel/convolution-row.ts';
import { convolutionRow, planConvolution } from '../src/kernel/convolution-task.ts';
import { mobileOneConfig, variantNames } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom, type Random } from '../src/tensor/random.ts';
import { area, loadPlan, type RunnablePlan } from '../test/support/run-plan.ts';
import { type ConvLayer, convLayers } from './conv-layers.ts';
import { benchGemm } from './gemm.ts';
import { floatsOf, machineFor, peakPlan, percentile, timed } from './kernel-machine.ts';

interface Timed extends ConvLayer {
  readonly plan: RunnablePlan;
  readonly ms: number[];
}

function outputSize(task: ConvTask): number {
  const { images, outHeight, outWidth, outChannels } = convSizes(task);
  return images * outHeight * outWidth * outChannels;
}

/** Loads every layer; each reads what the one before wrote, in a few buffers that take turns. */
function loadLayers(machine: Machine, layers: readonly ConvLayer[], random: Random): readonly Timed[] {
  const most = Math.max(
    ...layers.flatMap(({ task }) => [task.input.reduce((a, b) => a * b, 4), outputSize(task) * 4]),
  );
  const buffers = Array.from({ length: 3 }, () => machine.allocate(most));
  return layers.map((layer, i) => {
    const [input, output] = [buffers[i % 3], buffers[(i + 1) % 3]];
    if (input === undefined || output === undefined) throw new EngineError('bench: no buffers');
    const places = { inputs: [area(input)], output: area(output) };
    const plan = loadPlan(machine, planConvolution(machine.target, layer.task), places);
    const x = floatsOf(
      input,
      layer.task.input.reduce((a, b) => a * b, 1),
    );
    if (i === 0) for (const at of x.keys()) x[at] = random.normal();
    plan.run();
    checkSamples(layer, x, floatsOf(output, outputSize(layer.task)), random);
    return { ...layer, plan, ms: [] };
  });
}

/** A few hundred outputs against sums in f64. @throws EngineError where one is wrong */
function checkSamples(layer: ConvLayer, x: Float32Array, y: Float32Array, random: Random): void {
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
    if (!(Math.abs(found - expected) <= 1e-4 * (1 + Math.abs(expected))))
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
    const row = convolutionRow(first.task).name;
    console.log(
      column([
        shape,
        row,
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
  const variant = variantNames.find((name) => name === variantName);
  if (variant === undefined)
    throw new UsageError(`bench: expected ${variantNames.join(', ')}, found "${variantName}".`);
  const random = createRandom(1);
  const graph = buildMobileOne(mobileOneConfig(variant), { form: 'deploy' });
  const layers = convLayers(graph, random).filter(({ shape }) => shape.includes(filter));
  const machine = await machineFor(targetName);
  const loaded = loadLayers(machine, layers, random);
  const nothing = area(machine.allocate(64));
  const flat = peakPlan(machine.target.name, machine.target.lanes);
  const peak = loadPlan(machine, flat, { inputs: [], output: nothing });
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
  console.log(
    `mobileone-${variant}, 224 px, batch 1, ${machine.target.name}, 1 thread, Node ${process.version}`,
  );
  report(loaded, flat.flops / percentile(peaks, 0.1) / 1e6, totals);
}

await main(process.argv.slice(2));
