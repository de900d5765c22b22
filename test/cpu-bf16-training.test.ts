/** Training in bf16 on the CPU engine: every op that multiplies matrices, what it learns, and where it is refused. */

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { NamedTensors } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { EngineError } from '../src/errors.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { convGeometry } from '../src/graph/geometry.ts';
import { type CheckedGraph, type ValueId, valueAt } from '../src/graph/graph.ts';
import { mobileOneConfig } from '../src/model/config.ts';
import { initialWeights } from '../src/model/initialize.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../src/tensor/half.ts';
import { createRandom } from '../src/tensor/random.ts';
import { maxDifference, type Tensor, type Weights } from '../src/tensor/tensor.ts';
import { checkRecipe, type Recipe } from '../src/training/recipe/recipe.ts';
import { namedRecipe } from '../src/training/recipe/recipes.ts';
import { memoryRunStore } from '../src/training/run/run-store.ts';
import { train } from '../src/training/run/train.ts';
import { targetsInput, trainingStep } from '../src/training/step/classify-step.ts';
import { stepInputs } from '../src/training/step/learning-step.ts';
import { type CaseValues, caseError, type OpCase, runWholeCase } from './cases/op-case.ts';
import { bf16MomentCases, bf16ProductCases } from './cases/training-bf16.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { normalTensor } from './support/normal-tensor.ts';
import { tinyConfig, tinyData, tinyWeights } from './support/tiny-run.ts';

after(() => pool.dispose());

const [batch, side, classes] = [8, 32, 4];
const model = mobileOneConfig('s0', {
  widths: [1, 0.5, 0.25, 0.0625],
  pairs: [1, 1, 1, 1],
  branches: 2,
  classes,
});
const graph = buildMobileOne(model, { form: 'train', batch, height: side, width: side });
const weights = initialWeights(graph, 'timm', 3);
const small = namedRecipe('small', 's0');
const recipe: Recipe = checkRecipe({
  ...small,
  batch,
  rateForBatch: batch,
  epochs: 1,
  rate: { ...small.rate, base: 0.05, warmUp: { ...small.rate.warmUp, length: 0 } },
  precision: 'bf16',
});

async function refusal(target: string | undefined): Promise<string | false> {
  const step = trainingStep({ graph, weights }, recipe);
  try {
    const options = { precision: 'bf16', ...(target ? { target } : {}) } as const;
    (await engine.compile(step.graph, step.weights, options)).dispose();
    return false;
  } catch (error) {
    assert.ok(error instanceof EngineError);
    return error.message;
  }
}

const lacking = await refusal(undefined);
const skip = lacking !== false && `no training in bf16 here: ${lacking}`;

for (const target of targets.filter((name) => name !== 'avx512'))
  test(`training in bf16 is refused on ${target}, saying what it needs`, {
    skip: skipTarget(target),
  }, async () => {
    assert.match(String(await refusal(target)), new RegExp(`AMX-BF16.*; target ${target} has`));
  });

test('a run that the engine refuses leaves no files', async () => {
  const store = memoryRunStore();
  const config = tinyConfig({ precision: 'bf16' });
  const run = train({ engine: referenceEngine, config, weights: tinyWeights(), data: tinyData(), store });
  await assert.rejects(run, /precision must be "f32" or "f64", found "bf16"; use engine "cpu"/);
  assert.equal(store.files.size, 0);
});

const rounded = ({ shape, data }: Tensor): Tensor => ({
  shape,
  data: Float32Array.from(data, (x) => bfloat16ToNumber(numberToBfloat16(x))),
});

/** The same case on numbers that are bf16 already. */
function onRounded(c: OpCase): OpCase {
  const fit = (values: CaseValues): CaseValues => {
    const { inputs, weights } = c.fit?.(values) ?? values;
    return {
      inputs: Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, rounded(tensor)])),
      weights: new Map([...weights].map(([name, tensor]) => [name, rounded(tensor)])),
    };
  };
  return { ...c, fit };
}

describe('ops in bf16', { skip }, () => {
  const errors = async (c: OpCase, precision: 'f32' | 'bf16'): Promise<readonly number[]> => {
    const expected = await runWholeCase(referenceEngine, c, 'f64');
    const found = await runWholeCase(engine, c, 'bf16');
    return expected.map((tensor, i) => caseError(c, precision, found[i] ?? tensor, tensor));
  };
  for (const c of bf16ProductCases)
    test(c.name, async () => {
      // Products of bf16 numbers are exact in f32.
      for (const error of await errors(onRounded(c), 'f32')) assert.ok(error <= 1, `${error}`);
      for (const error of await errors(c, 'bf16')) assert.ok(error <= 1, `${error}`);
      assert.ok(Math.max(...(await errors(c, 'f32'))) > 1, 'factors were not rounded');
    });
  for (const c of bf16MomentCases)
    test(c.name, async () => {
      for (const error of await errors(c, 'bf16')) assert.ok(error <= 1, `${error}`);
      assert.ok(Math.max(...(await errors(c, 'f32'))) > 1, 'factors were not rounded');
    });
});

/** (dy·W + other) · fn′(x), and without one of the two. */
function linkedGraph(fn: 'relu' | 'silu', links: 'add' | 'derivative' | 'both'): CheckedGraph {
  const b = graphBuilder(`${links} ${fn}`);
  const input = [2, 17, 19, 47];
  const operands = [b.input('dy', [2, 17, 19, 33]), b.input('w', [33, 47, 1, 1])];
  const geometry = convGeometry({ kernel: 1 });
  let dx = b.node('conv2dInputGrad', 'gradient', { geometry, height: 17, width: 19 }, operands);
  if (links !== 'derivative') dx = b.node('sum', 'sum', {}, [b.input('other', input), dx]);
  if (links !== 'add') dx = b.node('activationGrad', 'derivative', { fn }, [dx, b.input('x', input)]);
  b.output('dx', dx);
  return b.finish();
}

describe('what follows a gradient in bf16', { skip }, () => {
  for (const links of ['add', 'derivative', 'both'] as const)
    for (const fn of ['relu', 'silu'] as const)
      test(`${links}, ${fn}: one task`, async () => {
        const whole = linkedGraph(fn, links);
        const random = createRandom(4);
        const normal = (id: ValueId) => {
          const { name, shape } = valueAt(whole, id);
          return [name, rounded(normalTensor(shape, random))];
        };
        const inputs: NamedTensors = Object.fromEntries(whole.inputs.map(normal));
        const reference = await referenceEngine.compile(whole, new Map(), { precision: 'f64' });
        const { dx: expected } = await reference.run(inputs);
        const session = await engine.compile(whole, new Map(), { precision: 'bf16', profile: true });
        const { dx: found } = await session.run(inputs);
        assert.ok(expected && found);
        assert.equal(session.profile?.().length, 1);
        session.dispose();
        assert.ok(maxDifference(found, expected).relative < 1e-5);
      });
});

interface Curve {
  readonly losses: readonly number[];
  readonly state: Weights;
}

/** Pictures whose class is the direction of their stripes, others in each step. */
function batchOf(step: number): NamedTensors {
  const random = createRandom(step + 1);
  const images = new Float32Array(batch * side * side * 3);
  const labels = new Float32Array(batch * classes);
  for (let n = 0; n < batch; n++) {
    const angle = (Math.PI * (n % classes)) / classes;
    labels[n * classes + (n % classes)] = 1;
    const phase = random.uniform() * 6;
    for (let i = 0; i < side * side * 3; i++) {
      const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
      const wave = Math.sin((x * Math.cos(angle) + y * Math.sin(angle)) * 0.7 + phase);
      images[n * side * side * 3 + i] = wave + 0.1 * random.normal();
    }
  }
  return {
    image: { shape: [batch, side, side, 3], data: images },
    [targetsInput]: { shape: [batch, classes], data: labels },
  };
}

const allSteps = 60;

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly state?: Weights;
  readonly threads: number;
}

async function learn(
  precision: 'f32' | 'bf16',
  mergeBranches: Recipe['mergeBranches'],
  { from, to, state: start, threads }: Stretch = { from: 0, to: allSteps, threads: 2 },
): Promise<Curve> {
  const rules: Recipe = { ...recipe, mergeBranches };
  const step = trainingStep({ graph, weights: new Map([...weights, ...(start ?? [])]) }, rules);
  const session = await engine.compile(step.graph, step.weights, { precision, threads });
  const losses: number[] = [];
  for (let i = from; i < to; i++) {
    const scheduled = stepInputs(rules, { step: i, stepsPerEpoch: allSteps, epochs: 1 });
    const { loss } = await session.run({ ...batchOf(i), ...scheduled });
    losses.push(loss?.data[0] ?? Number.NaN);
  }
  const state = session.state();
  session.dispose();
  return { losses, state };
}

const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

describe('learning in bf16', { skip }, () => {
  for (const merge of ['all', 'none'] as const)
    test(`losses fall as in f32, branches merged: ${merge}`, async () => {
      const [plain, low] = [await learn('f32', merge), await learn('bf16', merge)];
      const ends = (curve: Curve): readonly number[] =>
        [0, 15, 30, 45].map((first) => mean(curve.losses.slice(first, first + 15)));
      assert.ok(Math.abs((plain.losses[0] ?? 0) - (low.losses[0] ?? 9)) < 2e-3);
      // After some steps the two differ as two runs that round in another order do.
      const [expected, found] = [ends(plain), ends(low)];
      for (const [i, loss] of found.entries())
        assert.ok(Math.abs(loss - (expected[i] ?? 9)) < 0.1, `${found}, in f32 ${expected}`);
      assert.ok((found[0] ?? 0) > 1 && (found[3] ?? 9) < 0.55, `${found}`);
    });

  test('on one thread or two, in one go or two, to the same bits', async () => {
    const whole = await learn('bf16', 'all', { from: 0, to: 6, threads: 2 });
    const first = await learn('bf16', 'all', { from: 0, to: 3, threads: 1 });
    for (const { data } of first.state.values()) assert.ok(data instanceof Float32Array);
    const rest = await learn('bf16', 'all', { from: 3, to: 6, state: first.state, threads: 1 });
    assert.deepEqual([...first.losses, ...rest.losses], whole.losses);
    assert.deepEqual(rest.state, whole.state);
  });
});
