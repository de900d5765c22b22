/**
 * Times the matrix products of training MobileOne-S0, batch 32 at 128 px, on one thread: forward z = x·Wᵀ, and
 * backward dx = dz·W and dW = dzᵀ·x, of every pointwise layer. Every way to compute one is timed, in turns, also those
 * that round factors to bf16.
 */
import type { Machine } from '../src/assembler/machine.ts';
import { EngineError } from '../src/errors.ts';
import { valueAt } from '../src/graph/graph.ts';
import { bf16GemmRows, hasBf16Products, paysInBf16 } from '../src/kernel/bf16/training/bf16-gemm.ts';
import { type GemmTask, gemmRow, gemmRows } from '../src/kernel/product/gemm.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { createRandom } from '../src/tensor/random.ts';
import { area, loadPlan } from '../test/support/run-plan.ts';
import { floatsOf, machineFor, measuredPeak, timed } from './kernel-machine.ts';

interface Product {
  readonly what: string;
  readonly times: number;
  readonly task: GemmTask;
}

/** The three products of every pointwise layer; equal ones once. */
function trainingProducts(): readonly Product[] {
  const graph = buildMobileOne(mobileOneConfig('s0'), { form: 'deploy', height: 128, width: 128, batch: 32 });
  const products = new Map<string, Product>();
  const add = (what: string, task: GemmTask): void => {
    const known = products.get(what);
    products.set(what, { what, task, times: 1 + (known?.times ?? 0) });
  };
  for (const node of graph.nodes) {
    if (node.kind !== 'conv2d' && node.kind !== 'linear') continue;
    const [x, weight] = node.inputs;
    if (x === undefined || weight === undefined) continue;
    const [outC = 0, inC = 0, taps = 1] = valueAt(graph, weight).shape;
    if (taps !== 1) continue;
    const rows = valueAt(graph, x)
      .shape.slice(0, -1)
      .reduce((a, b) => a * b, 1);
    const plain = { transposeA: false, transposeB: false, accumulate: false };
    const size = `${rows} × ${inC} → ${outC}`;
    add(`z  ${size}`, { m: rows, n: outC, k: inC, ...plain, transposeB: true });
    add(`dx ${size}`, { m: rows, n: inC, k: outC, ...plain });
    add(`dW ${size}`, { m: outC, n: inC, k: rows, ...plain, transposeA: true });
  }
  return [...products.values()];
}

/** Numbers between −½ and ½, so that a product of rounded ones is off by about 2⁻¹³. */
const roundingOff = (k: number): number => 2 ** -10 * Math.sqrt(k);

/** A few hundred numbers of C against sums in f64. @throws EngineError where one is wrong */
function check(
  { what, task }: Product,
  off: number,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
): void {
  const random = createRandom(2);
  const { m, n, k, transposeA, transposeB } = task;
  for (let sample = 0; sample < 100; sample++) {
    const [row, column] = [random.integer(m), random.integer(n)];
    let sum = 0;
    for (let s = 0; s < k; s++)
      sum +=
        (a[transposeA ? s * m + row : row * k + s] ?? 0) *
        (b[transposeB ? column * k + s : s * n + column] ?? 0);
    const found = c[row * n + column] ?? Number.NaN;
    if (!(Math.abs(found - sum) <= off + 1e-6 * (k + Math.abs(sum))))
      throw new EngineError(`bench: ${what} is ${found} at ${row},${column}, expected ${sum}`);
  }
}

/** Milliseconds of each way that can compute the product. */
function timeProduct(machine: Machine, product: Product, rounds: number): ReadonlyMap<string, number> {
  const { m, n, k } = product.task;
  const memories = [m * k, k * n, m * n].map((count) => machine.allocate(count * 4));
  const [a, b, c] = memories;
  if (a === undefined || b === undefined || c === undefined) throw new EngineError('bench: no buffers');
  const random = createRandom(1);
  for (const view of [floatsOf(a, m * k), floatsOf(b, k * n)])
    for (let i = 0; i < view.length; i++) view[i] = random.uniform() - 0.5;
  const rounding = hasBf16Products(machine.target) && paysInBf16(product.task) ? bf16GemmRows : [];
  const ways = [...gemmRows, ...rounding]
    .filter(({ can }) => can(product.task))
    .map((row) => {
      const plan = row.plan(machine.target, product.task);
      return {
        row,
        ms: [] as number[],
        plan: loadPlan(machine, plan, { inputs: [area(a), area(b)], output: area(c) }),
      };
    });
  for (const { row, plan } of ways) {
    plan.run();
    const off = rounding.includes(row) ? roundingOff(k) : 0;
    // Asked for again: WebAssembly's memory may have grown.
    check(product, off, floatsOf(a, m * k), floatsOf(b, k * n), floatsOf(c, m * n));
  }
  for (let round = 0; round < rounds; round++) for (const { plan, ms } of ways) ms.push(timed(plan.run));
  for (const { plan } of ways) plan.free();
  for (const memory of memories) memory.free();
  return new Map(ways.map(({ row, ms }) => [row.name, Math.min(...ms)]));
}

/** @param filter part of a product's name */
export async function benchGemm(target: string, filter: string): Promise<void> {
  const rounds = target.startsWith('wasm') ? 40 : 20;
  let peak = 0;
  const lines: { readonly product: Product; readonly ms: ReadonlyMap<string, number> }[] = [];
  for (const product of trainingProducts().filter(({ what }) => what.includes(filter))) {
    // WebAssembly's memory is given back with its machine only.
    const machine = await machineFor(target);
    peak = Math.max(peak, measuredPeak(machine));
    lines.push({ product, ms: timeProduct(machine, product, rounds) });
    machine.dispose();
  }
  console.log(`mobileone-s0, 128 px, batch 32, ${target}, 1 thread, Node ${process.version}`);
  console.log(`${'product (minima)'.padEnd(30)} times  taken      ms  GFLOP/s  % peak   other`);
  const totals = new Map<string, { ms: number; flops: number }>();
  for (const { product, ms } of lines) {
    const { m, n, k } = product.task;
    const { name } = gemmRow(product.task);
    const took = ms.get(name) ?? Number.NaN;
    const flops = 2 * m * n * k;
    const rate = flops / took / 1e6;
    const other = [...ms]
      .filter(([row]) => row !== name)
      .map(([row, t]) => `${row} ${(flops / t / 1e6).toFixed(0)}`);
    console.log(
      `${product.what.padEnd(30)} ${String(product.times).padStart(5)}  ${name.padEnd(8)} ${took.toFixed(3).padStart(6)} ${rate.toFixed(1).padStart(8)} ${((100 * rate) / peak).toFixed(0).padStart(7)}   ${other.join()}`,
    );
    const kind = product.what.slice(0, 2);
    const sum = totals.get(kind) ?? { ms: 0, flops: 0 };
    totals.set(kind, { ms: sum.ms + took * product.times, flops: sum.flops + flops * product.times });
  }
  for (const [kind, { ms, flops }] of totals)
    console.log(
      `${kind}: ${ms.toFixed(2)} ms, ${(flops / ms / 1e6).toFixed(0)} of ${peak.toFixed(0)} GFLOP/s`,
    );
}
