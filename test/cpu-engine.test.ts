/** The CPU engine on every target this machine has, with one and with two threads, against the reference engine. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { valueAt } from '../src/graph/graph.ts';
import type { Net } from '../src/graph/net.ts';
import { mobileOneConfig, type VariantName } from '../src/model/config.ts';
import { initialWeights, randomStatistics } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Tensor, zeros } from '../src/tensor/tensor.ts';
import { reparameterize } from '../src/transform/reparameterize.ts';
import { caseError, caseGraph, caseOutput, caseValues, type OpCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';
import { randomNet } from './support/random-graph.ts';

after(() => pool.dispose());

interface Case extends Net {
  readonly inputs: NamedTensors;
  readonly expected: NamedTensors;
}

/** Adds what the reference engine gives in f64. */
async function withReference(net: Net, inputs: NamedTensors): Promise<Case> {
  const session = await referenceEngine.compile(net.graph, net.weights, { precision: 'f64' });
  return { ...net, inputs, expected: await session.run(inputs) };
}

/** Work that all targets share is done once. */
function remembered<K, V>(work: (key: K) => Promise<V>): (key: K) => Promise<V> {
  const known = new Map<K, Promise<V>>();
  return (key) => {
    const found = known.get(key) ?? work(key);
    known.set(key, found);
    return found;
  };
}

const opCase = remembered((c: OpCase) => {
  const graph = caseGraph(c);
  const { inputs, weights } = caseValues(c, graph);
  return withReference({ graph, weights }, inputs);
});

const randomCase = remembered((seed: number) => {
  const net = randomNet(seed, 3 + (seed % 25));
  return withReference(net, net.inputs);
});

function picture(size: number, batch: number): Tensor {
  return normalTensor([batch, size, size, 3], createRandom(11));
}

const mobileOneCases = remembered((variant: VariantName) => {
  const config = mobileOneConfig(variant, { classes: 10, widths: [0.5, 0.5, 0.5, 0.5] });
  const graph = buildMobileOne(config, { form: 'train', height: 48, width: 48, batch: 2 });
  const train: Net = { graph, weights: randomStatistics(graph, initialWeights(graph, 'timm', 7), 8) };
  const inputs = { image: picture(48, 2) };
  return Promise.all([train, reparameterize(train)].map((net) => withReference(net, inputs)));
});

async function run({ graph, weights, inputs }: Case, target: string, threads: number): Promise<NamedTensors> {
  const session = await engine.compile(graph, weights, { target, threads });
  // The second run finds the memory of the first.
  await session.run(inputs);
  const found = await session.run(inputs);
  session.dispose();
  return found;
}

function checkRandom(each: Case, found: NamedTensors): void {
  for (const { name, value } of each.graph.outputs) {
    const want = each.expected[name] ?? assert.fail(name);
    assert.deepEqual(found[name]?.shape, valueAt(each.graph, value).shape);
    const { absolute } = maxDifference(found[name] ?? zeros([0]), want);
    const scale = Math.max(1, ...[...want.data].map(Math.abs));
    const allowed = 2e-6 * (1 + each.graph.nodes.length) * scale;
    assert.ok(absolute <= allowed, `${each.graph.name} ${name}: ${absolute} of ${scale}`);
  }
}

for (const target of targets)
  for (const threads of [1, 2])
    describe(`engine cpu on ${target}, threads ${threads}`, { skip: skipTarget(target) }, () => {
      test('every op case', async () => {
        // Threads change nothing in kernels: with two, every fifth case is enough.
        for (const c of opCases.filter((_, i) => threads === 1 || i % 5 === 0)) {
          const each = await opCase(c);
          const found = (await run(each, target, threads))[caseOutput] ?? zeros([0]);
          const error = caseError(c, 'f32', found, each.expected[caseOutput] ?? assert.fail(c.name));
          assert.ok(error <= 1, `${c.name}: ${error}`);
        }
      });

      test('random graphs', async () => {
        let nodes = 0;
        for (let seed = 0; seed < 60; seed++) {
          const each = await randomCase(seed);
          checkRandom(each, await run(each, target, threads));
          nodes += each.graph.nodes.length;
        }
        assert.ok(nodes > 400);
      });

      for (const variant of ['s0', 's4'] as const)
        test(`MobileOne ${variant} in both forms, batch 2`, async () => {
          for (const each of await mobileOneCases(variant)) {
            const { logits = zeros([0]) } = await run(each, target, threads);
            const { relative } = maxDifference(logits, each.expected.logits ?? assert.fail());
            assert.ok(relative <= 1e-5, `${each.graph.name}: ${relative}`);
          }
        });
    });
