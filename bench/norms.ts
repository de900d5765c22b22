/**
 * Times the batch norms of training MobileOne-S0, batch 32 at 128 px, on one thread: `normSum` with ReLU and its
 * gradient over its inputs' memory, for blocks of 1, 2, 5 and 6 branches. GB/s counts every tensor as often as the plan
 * must read or write it; the copy beside it is what one thread moves at that size.
 */
import type { Machine, MachineMemory } from '../src/assembler/machine.ts';
import { EngineError } from '../src/errors.ts';
import { planElementwise } from '../src/kernel/elementwise/elementwise.ts';
import { planNormSum } from '../src/kernel/norm/norm-sum.ts';
import { planNormSumGrad } from '../src/kernel/norm/norm-sum-grad.ts';
import type { TaskPlan } from '../src/kernel/plan/plan.ts';
import { createRandom } from '../src/tensor/random.ts';
import { elementCount, type Shape } from '../src/tensor/tensor.ts';
import { area, loadPlan, type RunnablePlan } from '../test/support/run-plan.ts';
import { floatsOf, machineFor, timed } from './kernel-machine.ts';

const shapes: readonly Shape[] = [
  [32, 32, 32, 48],
  [32, 16, 16, 128],
  [32, 8, 8, 256],
  [32, 4, 4, 1024],
];
const branchCounts = [1, 2, 5, 6] as const;
const eps = 1e-5;

interface Job {
  readonly what: string;
  readonly bytes: number;
  readonly plan: RunnablePlan;
  readonly ms: number[];
}

/** Tensors and vectors of one size, shared by the jobs on it. */
function allocateAll(machine: Machine, shape: Shape) {
  const random = createRandom(1);
  const channels = shape.at(-1) ?? 1;
  const tensors = (count: number, length: number, draw: () => number): readonly MachineMemory[] =>
    Array.from({ length: count }, () => {
      const memory = machine.allocate(length * 4);
      const view = floatsOf(memory, length);
      for (let i = 0; i < length; i++) view[i] = draw();
      return memory;
    });
  const count = elementCount(shape);
  const cheap = (): number => random.uniform() * 4 - 1;
  return {
    xs: tensors(6, count, cheap),
    dxs: tensors(6, count, () => 0),
    y: tensors(1, count, cheap),
    dy: tensors(1, count, cheap),
    gammas: tensors(6, channels, () => 0.5 + random.uniform()),
    betas: tensors(6, channels, cheap),
    means: tensors(6, channels, cheap),
    variances: tensors(6, channels, () => 0.5 + random.uniform()),
    vectors: tensors(13, channels, () => 0),
  };
}

type Tensors = ReturnType<typeof allocateAll>;

function load(
  machine: Machine,
  plan: TaskPlan,
  inputs: readonly (MachineMemory | undefined)[],
  outputs: readonly (MachineMemory | undefined)[],
): RunnablePlan {
  const areas = (memories: typeof inputs) => memories.flatMap((memory) => (memory ? [area(memory)] : []));
  const [output, ...others] = areas(outputs);
  if (output === undefined) throw new EngineError('bench: no output');
  return loadPlan(machine, plan, { inputs: areas(inputs), output, others });
}

function jobs(machine: Machine, shape: Shape, t: Tensors): readonly Job[] {
  const size = elementCount(shape) * 4;
  const copy = planElementwise(machine.target, { shape, links: [{ kind: 'activation', fn: 'relu' }] });
  const copied = { what: 'copy', bytes: 2 * size, plan: load(machine, copy, [t.xs[0]], [t.dxs[0]]), ms: [] };
  const norms = branchCounts.flatMap((branches): readonly Job[] => {
    const indices = Array.from({ length: branches }, (_, i) => i);
    const task = { shape, branches, eps, fn: 'relu' } as const;
    const [y, dy, dbeta] = [t.y[0], t.dy[0], t.vectors[12]];
    const forward = load(
      machine,
      planNormSum(machine.target, task),
      indices.flatMap((i) => [t.xs[i], t.gammas[i], t.betas[i]]),
      [y, ...indices.flatMap((i) => [t.means[i], t.variances[i]])],
    );
    const grad = (dxs: readonly MachineMemory[]): RunnablePlan =>
      load(
        machine,
        planNormSumGrad(machine.target, { ...task, statistics: 'batch' }),
        [dy, ...indices.flatMap((i) => [t.xs[i], t.gammas[i], t.means[i], t.variances[i]]), y],
        [dbeta, ...indices.flatMap((i) => [dxs[i], t.vectors[i]])],
      );
    forward.run();
    grad(t.dxs).run();
    return [
      { what: `normSum ${branches}`, bytes: (2 * branches + 1) * size, plan: forward, ms: [] },
      { what: `normSumGrad ${branches}`, bytes: (4 + 3 * branches) * size, plan: grad(t.xs), ms: [] },
    ];
  });
  return [copied, ...norms];
}

/** Statistics and results of the largest task, at some places, against sums in f64. @throws EngineError */
function check(shape: Shape, t: Tensors): void {
  const channels = shape.at(-1) ?? 1;
  const count = elementCount(shape);
  const rows = count / channels;
  const values = (memory: MachineMemory | undefined, length: number): Float32Array =>
    memory ? floatsOf(memory, length) : new Float32Array(0);
  const [y, dy] = [values(t.y[0], count), values(t.dy[0], count)];
  const last = branchCounts.at(-1) ?? 1;
  for (const c of [0, 1, channels - 1]) {
    const column = (from: Float32Array): Float64Array =>
      Float64Array.from({ length: rows }, (_, row) => from[row * channels + c] ?? 0);
    const mean = (of: Float64Array): number => of.reduce((a, b) => a + b, 0) / rows;
    const dz = column(dy).map((value, row) => ((y[row * channels + c] ?? 0) > 0 ? value : 0));
    let [sum, dbeta] = [0, mean(dz)];
    for (let i = 0; i < last; i++) {
      const x = column(values(t.xs[i], count));
      const middle = mean(x);
      const variance = mean(x.map((value) => (value - middle) ** 2));
      const [gamma, beta] = [values(t.gammas[i], channels)[c] ?? 0, values(t.betas[i], channels)[c] ?? 0];
      const unit = x.map((value) => (value - middle) / Math.sqrt(variance + eps));
      sum += (unit[rows - 1] ?? 0) * gamma + beta;
      const dgamma = mean(unit.map((u, row) => u * (dz[row] ?? 0)));
      const dx =
        (gamma / Math.sqrt(variance + eps)) * ((dz[rows - 1] ?? 0) - dbeta - (unit[rows - 1] ?? 0) * dgamma);
      near(values(t.dxs[i], count)[(rows - 1) * channels + c], dx, `dx${i}`);
      near(values(t.variances[i], channels)[c], variance, `variance ${i}`);
    }
    near(y[(rows - 1) * channels + c], Math.max(0, sum), 'y');
  }
  function near(found: number | undefined, expected: number, what: string): void {
    if (!(Math.abs((found ?? Number.NaN) - expected) <= 2e-5 * (1 + Math.abs(expected))))
      throw new EngineError(`bench: ${what} of ${shape.join('×')} is ${found}, expected ${expected}`);
  }
}

/** @param filter part of a shape, e.g. `x48` */
export async function benchNorms(target: string, filter: string): Promise<void> {
  const rounds = target.startsWith('wasm') ? 20 : 40;
  console.log(`mobileone-s0, 128 px, batch 32, ${target}, 1 thread, Node ${process.version}`);
  console.log(`${'tensor'.padEnd(16)} ${'op, branches'.padEnd(16)}  min ms    GB/s   of copy`);
  for (const shape of shapes.filter((each) => each.join('x').includes(filter))) {
    // WebAssembly's memory is given back with its machine only.
    const machine = await machineFor(target);
    const tensors = allocateAll(machine, shape);
    const all = jobs(machine, shape, tensors);
    check(shape, tensors);
    for (let round = 0; round < rounds; round++) for (const { plan, ms } of all) ms.push(timed(plan.run));
    const rateOf = ({ bytes, ms }: Job): number => bytes / Math.min(...ms) / 1e6;
    const [copy] = all;
    for (const job of all)
      console.log(
        `${shape.join('×').padEnd(16)} ${job.what.padEnd(16)} ${Math.min(...job.ms)
          .toFixed(3)
          .padStart(
            7,
          )} ${rateOf(job).toFixed(1).padStart(7)} ${((100 * rateOf(job)) / (copy ? rateOf(copy) : 1)).toFixed(0).padStart(8)}%`,
      );
    machine.dispose();
  }
}
