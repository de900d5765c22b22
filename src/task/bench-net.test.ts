import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { EngineError, UsageError } from '../errors.ts';
import { graphCost } from '../graph/cost.ts';
import { mobileOneConfig } from '../model/config.ts';
import { initialWeights } from '../model/initialize.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { benchNet, profileNet } from './bench-net.ts';

const config = mobileOneConfig('s0', {
  widths: [0.125, 0.125, 0.125, 0.125],
  pairs: [1, 1, 1, 1],
  classes: 4,
});
const graph = buildMobileOne(config, { form: 'deploy', batch: 2, height: 32, width: 32 });
const net = { graph, weights: initialWeights(graph, 'timm', 1) };

test('as many runs as asked for, after warming up, and rates that follow from them', async () => {
  let runs = 0;
  let disposed = 0;
  const engine = {
    ...referenceEngine,
    compile: async (...args: Parameters<typeof referenceEngine.compile>) => {
      const session = await referenceEngine.compile(...args);
      return {
        run: (...given: Parameters<typeof session.run>) => {
          runs++;
          return session.run(...given);
        },
        state: session.state,
        dispose: () => {
          disposed++;
          session.dispose();
        },
      };
    },
  };
  const found = await benchNet(engine, net, { runs: 4 });
  assert.equal(found.latency.runs, 4);
  assert.equal(runs, 4 + found.warmUp.runs);
  assert.equal(disposed, 1);
  assert.equal(found.macs, graphCost(graph).macs);
  assert.equal(found.gflops, (2 * found.macs) / found.latency.median / 1e6);
  const { min, p10, median, p90 } = found.latency;
  assert.ok(0 < min && min <= p10 && p10 <= median && median <= p90);
  assert.ok(found.imagesPerSecond <= 2000 / min);
  assert.equal(found.info, undefined);
});

test('schedules that measure nothing are refused, and profiles where there are none', async () => {
  for (const options of [
    { runs: 0 },
    { runs: 1.5 },
    { seconds: 0 },
    { seconds: Number.NaN },
    { runs: 1, seconds: 1 },
  ])
    await assert.rejects(benchNet(referenceEngine, net, options), UsageError, JSON.stringify(options));
  await assert.rejects(profileNet(referenceEngine, net), EngineError);
});
