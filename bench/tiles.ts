/**
 * How well the cost model chooses register tiles: each 1×1 layer of a net with the tiles that the model ranks first,
 * in turns, on one thread; the model's own choice comes first in each line.
 *
 *     node dist/bench/tiles.js [s0…s4] [avx512|avx2|wasm|wasm-relaxed]
 */
import { UsageError } from '../src/errors.ts';
import { convSizes } from '../src/kernel/convolution/convolution-row.ts';
import { isPointwise, planPointwise } from '../src/kernel/convolution/pointwise.ts';
import { panelTiles } from '../src/kernel/product/panel-tiles.ts';
import { variantNames } from '../src/model/config.ts';
import { createRandom } from '../src/tensor/random.ts';
import { area, loadPlan } from '../test/support/run-plan.ts';
import { convLayers } from './conv-layers.ts';
import { floatsOf, loadPeak, machineFor, percentile, timed } from './kernel-machine.ts';
import { benchGraph } from './net.ts';

const candidates = 8;
const rounds = 40;

async function main([net = 's0', name = 'avx512']: readonly string[]): Promise<void> {
  const variant = variantNames.find((each) => each === net);
  if (variant === undefined)
    throw new UsageError(`bench: expected ${variantNames.join(', ')}, found "${net}".`);
  const machine = await machineFor(name);
  const { target } = machine;
  const random = createRandom(1);
  const peak = loadPeak(machine);
  const layers = convLayers(benchGraph(variant, 1), random).filter(({ task }) => isPointwise(task));
  for (const { shape, task, macs } of new Map(layers.map((layer) => [layer.shape, layer])).values()) {
    const { height, width, inChannels, outChannels } = convSizes(task);
    const [positions, vectors] = [height * width, Math.ceil(outChannels / target.lanes)];
    const input = machine.allocate(positions * inChannels * 4);
    const output = machine.allocate(positions * outChannels * 4);
    const pixels = floatsOf(input, positions * inChannels);
    pixels.set(pixels.map(() => random.normal()));
    const rows = panelTiles(target, { positions, vectors, steps: inChannels })
      .slice(0, candidates)
      .map((tile) => {
        const plan = planPointwise(target, task, tile);
        const { run } = loadPlan(machine, plan, { inputs: [area(input)], output: area(output) });
        const times: number[] = [];
        return { tile, run, times };
      });
    const peaks: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const { run, times } of rows) {
        run();
        times.push(timed(run));
      }
      peaks.push(peak.flops / timed(peak.run) / 1e6);
    }
    const line = rows.map(({ tile, times }) => {
      const gflops = (2 * macs) / percentile(times, 0.5) / 1e6;
      return `${tile.positions}×${tile.vectors} ${gflops.toFixed(0)}`;
    });
    console.log(`${shape}: ${line.join(', ')} (peak ${percentile(peaks, 0.5).toFixed(0)} GFLOP/s)`);
    input.free();
    output.free();
  }
}

await main(process.argv.slice(2));
