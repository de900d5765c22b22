import type { Session } from '../../src/engine/engine.ts';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { MobileOneError } from '../../src/errors.ts';
import type { Random } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { type RandomNet, randomNet } from '../support/random-graph.ts';
import { assertClose, pick, refusable, type Scenario, someOptions } from './scenario.ts';

const someNet = (random: Random): RandomNet => randomNet(random.integer(2 ** 31), 2 + random.integer(10));

/** Every way that a tensor can be wrong, or right in an unusual way. */
const spoilers: readonly ((tensor: Tensor, random: Random) => Tensor)[] = [
  (tensor) => ({ ...tensor, shape: tensor.shape.toReversed() }),
  (tensor) => ({ ...tensor, shape: [...tensor.shape, 1] }),
  (tensor) => ({ ...tensor, shape: tensor.shape.map(() => Number.NaN) }),
  (tensor) => ({ ...tensor, data: tensor.data.slice(1) }),
  ({ shape, data }) => ({ shape, data: Float32Array.from([...data, 1]) }),
  ({ shape }) => ({ shape, data: new Float32Array(0) }),
  ({ shape, data }) => ({ shape, data: Float64Array.from(data) }),
  ({ shape, data }) => ({ shape, data: Float32Array.from(data, () => Number.NaN) }),
  ({ shape, data }, random) => ({
    shape,
    data: Float32Array.from(data, () => pick(random, [Infinity, -Infinity, 3e38, -0, 1e-45, Number.NaN])),
  }),
  ({ shape, data }) => {
    const shared = new Float32Array(new SharedArrayBuffer(4 * data.length));
    shared.set(data);
    return { shape, data: shared };
  },
  ({ shape, data }) => {
    const unaligned = new Float32Array(data.length + 1).subarray(1);
    unaligned.set(data);
    return { shape, data: unaligned };
  },
  ({ shape, data }) => {
    const gone = Float32Array.from(data);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    return { shape, data: gone };
  },
];

/** Inputs and weights that do not fit, or hold no numbers. */
export const wrongTensors: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const { graph, weights, inputs } = someNet(random);
      const spoil = (tensor: Tensor): Tensor =>
        random.uniform() < 0.4 ? pick(random, spoilers)(tensor, random) : tensor;
      const spoiled = [...weights].flatMap(([name, tensor]) =>
        random.uniform() < 0.05 ? [] : [[name, random.uniform() < 0.2 ? spoil(tensor) : tensor] as const],
      );
      const session = await engine.compile(graph, new Map(spoiled), someOptions(random));
      try {
        const given = Object.entries(inputs).flatMap(([name, tensor]) =>
          random.uniform() < 0.05 ? [] : [[name, spoil(tensor)] as const],
        );
        const extra = random.uniform() < 0.1 ? { other: { shape: [1], data: new Float32Array(1) } } : {};
        await session.run({ ...Object.fromEntries(given), ...extra });
      } finally {
        session.dispose();
      }
    }),
};

const absurd = [0, -1, 1.5, 65, 1e9, 2 ** 53, Number.NaN, Infinity, 64, 5, 'auto'] as const;

/** Thread counts, targets and precisions that no machine has. */
export const absurdOptions: Scenario = {
  weight: 0.5,
  run: ({ random, engine }) =>
    refusable(async () => {
      const { graph, weights, inputs } = someNet(random);
      const session = await engine.compile(graph, weights, {
        threads: pick(random, absurd),
        ...(random.uniform() < 0.3 && { target: pick(random, ['', 'avx1024', '__proto__', 'wasm']) }),
        ...(random.uniform() < 0.3 && { precision: pick(random, ['f32', 'f64', 'bf16'] as const) }),
        profile: random.uniform() < 0.5,
      });
      await session.run(inputs);
      session.profile?.();
      session.dispose();
    }),
};

/** Disposing at any moment: before, while and after runs, twice, never. */
export const earlyDispose: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const { graph, weights, inputs } = someNet(random);
      const session = await engine.compile(graph, weights, someOptions(random));
      const runs: Promise<unknown>[] = [];
      const reasonOf = (run: Promise<unknown>): Promise<unknown> =>
        run.then(
          () => undefined,
          (reason: unknown) => reason,
        );
      for (let i = 0; i < 2 + random.integer(6); i++) {
        const what = random.integer(5);
        if (what === 0) session.dispose();
        else if (what === 1) await Promise.all(runs);
        else runs.push(reasonOf(session.run(inputs)));
        if (what === 3) await new Promise((resolve) => setImmediate(resolve));
      }
      if (random.uniform() < 0.7) session.dispose();
      const reasons = (await Promise.all(runs)).filter((reason) => reason !== undefined);
      // What is no error of ours comes first.
      const fault = reasons.find((reason) => !(reason instanceof MobileOneError)) ?? reasons[0];
      if (fault !== undefined) throw fault;
    }),
};

interface Running {
  readonly session: Session;
  readonly net: RandomNet;
  readonly expected: Readonly<Record<string, Tensor>>;
}

/** Several models at once, runs overlapping; every answer must be its own. */
export const manyModels: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const models: Running[] = [];
      for (let i = 0; i < 2 + random.integer(3); i++) {
        const net = someNet(random);
        const expected = await (await referenceEngine.compile(net.graph, net.weights)).run(net.inputs);
        const session = await engine.compile(net.graph, net.weights, someOptions(random));
        models.push({ session, net, expected });
      }
      const runs = Array.from({ length: 6 + random.integer(10) }, async () => {
        const { session, net, expected } = pick(random, models);
        const found = await session.run(net.inputs);
        for (const name of Object.keys(expected)) assertClose(found[name], expected[name], name);
      });
      const results = await Promise.allSettled(runs);
      for (const { session } of models) session.dispose();
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }),
};

/** What plain JavaScript can pass where the types forbid it: any error will do, but the process must live. */
export const untypedValues: Scenario = {
  weight: 0.5,
  run: async ({ random, engine }) => {
    const { graph, weights, inputs } = someNet(random);
    const junk = (): never =>
      pick(random, [null, undefined, 7, 'x', [], {}, new Map(), new ArrayBuffer(8), () => 0]) as never;
    try {
      const spoil = random.integer(5);
      const session = await engine.compile(
        spoil === 0 ? junk() : graph,
        spoil === 1 ? junk() : weights,
        spoil === 2 ? { threads: junk(), target: junk() } : someOptions(random),
      );
      const data = spoil === 3 ? { x: { shape: junk(), data: junk() } } : spoil === 4 ? junk() : inputs;
      await session.run(data);
      session.dispose();
      return 'answered';
    } catch (error) {
      if (error instanceof Error) return 'refused';
      throw error;
    }
  },
};
