/**
 * Run as a process of its own, with --expose-gc: does memory stay flat? Ends with one line of JSON: bytes that
 * 250 runs and 25 compile/dispose cycles add to the resident set, for the target and threads given. Each is the least
 * of up to ten windows: what leaks grows in all of them, the collector's tides and code that is still being optimized
 * do not.
 */
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { zeros } from '../../src/tensor/tensor.ts';
import { engine } from './cpu.ts';

const [target = 'wasm', threads = '1'] = process.argv.slice(2);
const graph = buildMobileOne(mobileOneConfig('s0', { widths: [0.4, 0.4, 0.4, 0.8] }), {
  form: 'deploy',
  height: 32,
  width: 32,
});
const weights = initialWeights(graph, 'timm', 1);
const inputs = { image: zeros([1, 32, 32, 3]) };
const outputs = { logits: zeros([1, 1000]) };

/** Lets helpers take their messages and the collector free what it can. */
async function settle(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc?.();
  }
  return process.memoryUsage().rss;
}

/** Least growth of the resident set over windows, after one that warms up; the first without any is the last. */
async function leastGrowth(work: () => Promise<void>): Promise<number> {
  await work();
  let before = await settle();
  let least = Number.POSITIVE_INFINITY;
  for (let window = 0; window < 10 && least > 0; window++) {
    await work();
    const after = await settle();
    least = Math.min(least, after - before);
    before = after;
  }
  return least;
}

const options = { target, threads: Number(threads) };
const session = await engine.compile(graph, weights, options);
const runs = await leastGrowth(async () => {
  for (let i = 0; i < 250; i++) await session.run(inputs, outputs);
});
session.dispose();
const cycles = await leastGrowth(async () => {
  for (let i = 0; i < 25; i++) {
    const passing = await engine.compile(graph, weights, options);
    await passing.run(inputs, outputs);
    passing.dispose();
    if (i % 10 === 9) await settle();
  }
});
console.log(JSON.stringify({ runs, cycles, session: session.info?.memoryBytes }));
