/**
 * Run as a process of its own: what a user can do wrong, at random. Ends with one line of JSON that counts what
 * was refused; anything but a typed error is printed and makes it fail.
 */

import type { CompileOptions, Session } from '../../src/engine/engine.ts';
import { MobileOneError } from '../../src/errors.ts';
import { graphBuilder } from '../../src/graph/builder.ts';
import { type CheckedGraph, valueAt } from '../../src/graph/graph.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { elementCount, type Weights } from '../../src/tensor/tensor.ts';
import { engine, pool, skipTarget, targets } from './cpu.ts';
import { randomNet } from './random-graph.ts';

const random = createRandom(Number(process.argv[2] ?? 1));
const rounds = Number(process.argv[3] ?? 300);
const count = { ran: 0, refused: 0 };

function pick<T>(from: readonly T[]): T {
  return from[random.integer(from.length)] as T;
}

async function attempt(action: () => unknown): Promise<void> {
  try {
    await action();
    count.ran++;
  } catch (error) {
    if (!(error instanceof MobileOneError)) throw error;
    count.refused++;
  }
}

interface Subject {
  readonly graph: CheckedGraph;
  readonly weights: Weights;
}

function subject(): Subject {
  if (random.uniform() < 0.7) return randomNet(random.integer(1000), 1 + random.integer(12));
  const config = mobileOneConfig('s0', { classes: 3, widths: [0.25, 0.25, 0.25, 0.25] });
  const graph = buildMobileOne(config, {
    form: 'deploy',
    height: 32,
    width: 32,
    batch: pick([1, 2, 1e9]),
  });
  return { graph, weights: initialWeights(graph, 'timm', 1) };
}

/** A graph whose activations cannot fit, or whose sizes leave the integers. */
function huge(): Subject {
  const b = graphBuilder('huge');
  const x = b.input(
    'x',
    pick([
      [2 ** 40, 1, 1, 1],
      [65536, 65536, 65536, 3],
      [1, 2 ** 20, 2 ** 20, 1],
      [2 ** 37, 1, 1, 1],
    ]),
  );
  b.output('y', b.node('activation', 'relu', { fn: 'relu' }, [x]));
  return { graph: b.finish(), weights: new Map() };
}

const options = (): CompileOptions =>
  pick<unknown>([
    {},
    undefined,
    { threads: pick([0, -1, 1, 2, 3, 1e9, 1.5, Number.NaN, '2', 'auto', null]) },
    { threads: 2, target: pick(['sse', '', ...targets.filter((name) => skipTarget(name) === false)]) },
    { threads: 2, target: 'wasm' },
    { precision: pick(['f64', 'bf16', 'f32', 'int8']), threads: 1 },
    { profile: true, threads: pick([1, 2]) },
  ]) as CompileOptions;

function spoil(weights: Weights): Weights {
  const names = [...weights.keys()];
  const name = names[random.integer(names.length)];
  if (name === undefined || random.uniform() < 0.6) return weights;
  const copy = new Map(weights);
  const old = weights.get(name);
  if (random.uniform() < 0.4 || old === undefined) copy.delete(name);
  else if (random.uniform() < 0.5) copy.set(name, { shape: [1, 2, 3], data: new Float32Array(6) });
  else copy.set(name, { shape: old.shape, data: old.data.slice(1) });
  return copy;
}

/** An input that fits, with numbers of any kind, or one that does not. */
function inputs(graph: CheckedGraph): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const id of graph.inputs) {
    const { name, shape } = valueAt(graph, id);
    const data = new Float32Array(elementCount(shape)).fill(
      pick([0, 1, Number.NaN, Number.POSITIVE_INFINITY, -1e38]),
    );
    const good = { shape, data };
    const bad: unknown[] = [
      null,
      7,
      {},
      { shape },
      { shape, data: [1] },
      { shape: 'x', data },
      { shape: [1], data },
    ];
    record[name] = random.uniform() < 0.8 ? good : pick([...bad, { shape, data: data.subarray(1) }]);
  }
  if (random.uniform() < 0.05) record.other = { shape: [1], data: new Float32Array(1) };
  return record;
}

async function use(session: Session, graph: CheckedGraph): Promise<void> {
  const steps = 1 + random.integer(6);
  for (let i = 0; i < steps; i++) {
    const outputs = random.uniform() < 0.2 ? { y: { shape: [1], data: new Float32Array(1) } } : undefined;
    const run = (): unknown => session.run(inputs(graph) as never, outputs);
    const action = random.integer(5);
    if (action === 0) await attempt(() => Promise.all([run(), run(), run()]));
    else if (action === 1) await attempt(() => session.runSync?.(inputs(graph) as never, outputs));
    else if (action === 2 && random.uniform() < 0.3) session.dispose();
    else if (action === 3) {
      // Disposed while a run has been asked for.
      const running = attempt(run);
      if (random.uniform() < 0.3) session.dispose();
      await running;
    } else await attempt(run);
  }
}

const open: Session[] = [];
for (let round = 0; round < rounds; round++) {
  const { graph, weights } = random.uniform() < 0.1 ? huge() : subject();
  await attempt(async () => {
    const session = await engine.compile(graph, spoil(weights), options());
    open.push(session);
    await use(session, graph);
  });
  if (open.length > 5) for (const session of open.splice(random.integer(5), 3)) session.dispose();
  // The pool may go while sessions live: they go on alone.
  if (round === Math.floor(rounds * 0.9)) pool.dispose();
}
console.log(JSON.stringify(count));
