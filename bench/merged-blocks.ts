/**
 * What merging the branches of a block is worth, block by block: forward and backward pass of every shape that
 * a net trains with, in both forms, by turns. Times are of the processor, on one thread, so that a busy machine
 * matters little; of all rounds the least counts.
 *
 *     node dist/bench/merged-blocks.js [--net s0] [--batch 32] [--size 128] [--rounds 7] [--branches k] [--target avx2]
 */
import { parseArgs } from 'node:util';
import type { Session } from '../src/engine/engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { formatGeometry, pointGeometry } from '../src/graph/geometry.ts';
import type { CheckedGraph, ValueId } from '../src/graph/graph.ts';
import { valueAt } from '../src/graph/graph.ts';
import { mobileOneConfig, type VariantName } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { nodeCpuEngine } from '../src/platform/node/cpu-engine.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Tensor } from '../src/tensor/tensor.ts';
import { mergeBranches } from '../src/transform/merge-branches.ts';
import { blockCosts, type MergeableBlock, paysToMerge } from '../src/transform/merge-cost.ts';
import { trainNorms } from '../src/transform/train-norms.ts';
import { vjp } from '../src/transform/vjp.ts';

const { values: options } = parseArgs({
  options: {
    net: { type: 'string', default: 's0' },
    batch: { type: 'string', default: '32' },
    size: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '7' },
    branches: { type: 'string' },
    target: { type: 'string' },
    profile: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

/** Every mergeable block of a net, and how often it has one of these sizes. */
function blocksOf(
  graph: CheckedGraph,
): readonly { readonly block: MergeableBlock; readonly count: number }[] {
  const found = new Map<string, { block: MergeableBlock; count: number }>();
  mergeBranches(trainNorms(graph), {
    choose: (block) => {
      const { name: _, ...sizes } = block;
      const key = JSON.stringify(sizes);
      const known = found.get(key);
      found.set(key, { block, count: (known?.count ?? 0) + 1 });
      return false;
    },
  });
  return [...found.values()];
}

/** Forward and backward pass of one block; x and dy are kept between runs. */
function passOf(block: MergeableBlock, merged: boolean): CheckedGraph {
  const { geometry, input, outChannels, full, point, skip } = block;
  const b = graphBuilder('block');
  const x = b.parameter('x', input, 'state');
  const inner = (input[3] ?? 0) / geometry.groups;
  const geometries = [...Array(full).fill(geometry), ...Array(point).fill(pointGeometry(geometry))];
  const convs = geometries.map((own, i) => {
    const weight = b.parameter(`w${i}`, [outChannels, inner, ...own.kernel], 'weight');
    return b.node('conv2d', `conv${i}`, { geometry: own }, [x, weight]);
  });
  const operands = [...convs, ...(skip ? [x] : [])].flatMap((id, i) => [
    id,
    b.parameter(`gamma${i}`, [outChannels], 'gamma'),
    b.parameter(`beta${i}`, [outChannels], 'beta'),
  ]);
  const y = b.node('normSum', 'norm', { eps: 1e-5, fn: 'relu' }, operands);
  b.output('y', y);
  const forward = mergeBranches(b.finish(), { choose: merged ? 'all' : 'none' });
  return withBackward(forward, input[3] === 3);
}

function withBackward(forward: CheckedGraph, first: boolean): CheckedGraph {
  const b = graphBuilder('pass', { ...forward, outputs: [] });
  const y = forward.outputs[0]?.value ?? (0 as ValueId);
  const cotangents = new Map<ValueId, ValueId[]>([[y, [b.parameter('dy', b.shape(y), 'state')]]]);
  const joined = (id: ValueId): ValueId | undefined => {
    const terms = cotangents.get(id) ?? [];
    return terms.length > 1 ? b.node('sum', `${valueAt(forward, id).name}.d`, {}, terms) : terms[0];
  };
  const fixed = new Set(forward.parameters.filter(({ role }) => role === 'state').map(({ value }) => value));
  for (const node of forward.nodes.toReversed()) {
    const dy = node.outputs.map(joined);
    const wants = (i: number): boolean => {
      const input = node.inputs[i];
      return input !== undefined && !(first && fixed.has(input));
    };
    if (!node.inputs.some((_, i) => wants(i))) continue;
    vjp(node, { b, dy, wants }).forEach((cotangent, i) => {
      const input = node.inputs[i];
      if (cotangent === undefined || input === undefined) return;
      cotangents.set(input, [...(cotangents.get(input) ?? []), cotangent]);
    });
  }
  // Everything the optimizer would read is an update, so that nothing is copied out.
  for (const { value } of forward.parameters) {
    const gradient = joined(value);
    if (gradient !== undefined) b.update(value, gradient);
  }
  const small = forward.parameters.find(({ role }) => role === 'beta')?.value ?? y;
  b.output('beta', joined(small) ?? y);
  return b.finish();
}

function weightsOf(graph: CheckedGraph): ReadonlyMap<string, Tensor> {
  const random = createRandom(3);
  return new Map(
    graph.parameters.map(({ value }) => {
      const { name, shape } = valueAt(graph, value);
      return [
        name,
        { shape, data: Float32Array.from({ length: elementCount(shape) }, () => random.uniform()) },
      ];
    }),
  );
}

function cpuMilliseconds(session: Session): number {
  const before = process.cpuUsage();
  session.runSync?.({});
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Least milliseconds of each task in any run so far, by the difference of two profiles. */
function updateLeast(session: Session, before: Map<string, number>, least: Map<string, number>): void {
  for (const { name, ops, milliseconds } of session.profile?.() ?? []) {
    const key = `${ops}  ${name}`;
    const own = milliseconds - (before.get(key) ?? 0);
    before.set(key, milliseconds);
    least.set(key, Math.min(least.get(key) ?? Number.POSITIVE_INFINITY, own));
  }
}

const engine = await nodeCpuEngine();
const branches = options.branches === undefined ? {} : { branches: Number(options.branches) };
const config = mobileOneConfig(options.net as VariantName, { classes: 20, ...branches });
const [batch, size] = [Number(options.batch), Number(options.size)];
const net = buildMobileOne(config, { form: 'train', batch, height: size, width: size });
const totals = { apart: 0, merged: 0, chosen: 0 };
for (const { block, count } of blocksOf(net)) {
  if (
    options.only !== undefined &&
    !`${block.name} ${block.input.join('×')}→${block.outChannels} ${formatGeometry(block.geometry)}`.includes(
      options.only,
    )
  )
    continue;
  const sessions = await Promise.all(
    [false, true].map((merged) => {
      const graph = passOf(block, merged);
      const target = options.target === undefined ? {} : { target: options.target };
      return engine.compile(graph, weightsOf(graph), { threads: 1, profile: options.profile, ...target });
    }),
  );
  const best = sessions.map(() => Number.POSITIVE_INFINITY);
  const tasks = sessions.map(() => ({ before: new Map<string, number>(), least: new Map<string, number>() }));
  for (let round = 0; round < Number(options.rounds); round++)
    sessions.forEach((session, i) => {
      best[i] = Math.min(best[i] ?? 0, cpuMilliseconds(session));
      const each = tasks[i];
      if (options.profile && each) updateLeast(session, each.before, each.least);
    });
  const [apart = 0, merged = 0] = best;
  totals.apart += count * apart;
  totals.merged += count * merged;
  totals.chosen += count * (paysToMerge(block) ? merged : apart);
  const costs = blockCosts(block);
  const what = `${formatGeometry(block.geometry)} ${block.input.join('×')}→${block.outChannels} ×${block.full}${block.point ? '+scale' : ''}${block.skip ? '+skip' : ''}`;
  console.log(
    `${String(count).padStart(3)} × ${what.padEnd(62)} apart ${apart.toFixed(1).padStart(7)} ms  merged ${merged.toFixed(1).padStart(7)} ms  ${(apart / merged).toFixed(2)}× (model ${(costs.apart / costs.merged).toFixed(2)}×${paysToMerge(block) ? ', merged' : ''})`,
  );
  for (const { least } of options.profile ? tasks : [])
    for (const [task, ms] of least) console.log(`        ${ms.toFixed(2).padStart(8)} ms  ${task}`);
  for (const session of sessions) session.dispose();
}
console.log(
  `${config.name}: apart ${totals.apart.toFixed(0)} ms, merged ${totals.merged.toFixed(0)} ms, as chosen ${totals.chosen.toFixed(0)} ms of processor time a step`,
);
process.exit(0);
