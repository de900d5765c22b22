/**
 * Run as a process of its own, with --expose-gc: does memory stay flat? Ends with one line of JSON: bytes that
 * 40 compile/dispose cycles and 1000 runs added to the resident set, for the target and threads given.
 */
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { zeros } from '../../src/tensor/tensor.ts';
import { engine } from './cpu.ts';

const [target = 'wasm', threads = '1'] = process.argv.slice(2);
const graph = buildMobileOne(mobileOneConfig('s0'), { form: 'deploy', height: 32, width: 32 });
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

async function cycles(times: number): Promise<number> {
  for (let i = 0; i < times; i++) {
    const session = await engine.compile(graph, weights, { target, threads: Number(threads) });
    await session.run(inputs, outputs);
    session.dispose();
    if (i % 10 === 9) await settle();
  }
  return settle();
}

const session = await engine.compile(graph, weights, { target, threads: Number(threads) });
for (let i = 0; i < 200; i++) await session.run(inputs, outputs);
const beforeRuns = await settle();
for (let i = 0; i < 1000; i++) await session.run(inputs, outputs);
const runs = (await settle()) - beforeRuns;
session.dispose();
const warm = await cycles(15);
const compiled = (await cycles(40)) - warm;
console.log(JSON.stringify({ runs, cycles: compiled, session: session.info?.memoryBytes }));
