/** One whole training step of DeepLabV3 against torchvision's heads and loss in PyTorch. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import type { Engine, Precision } from '../src/engine/engine.ts';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { valueAt } from '../src/graph/graph.ts';
import { IGNORE } from '../src/image/index-map.ts';
import type { MobileOneConfig } from '../src/model/config.ts';
import { buildHeadNet } from '../src/task/head-net.ts';
import { segmentHead } from '../src/task/task-head.ts';
import { elementCount, type Shape, type Tensor } from '../src/tensor/tensor.ts';
import { learningStep } from '../src/training/step/learning-step.ts';
import { segmentLoss } from '../src/training/task/segment-task.ts';
import { engine as cpuEngine, pool, skipTarget, targets } from './support/cpu.ts';
import { digest, hashedParameter, hashedUniform } from './support/hashed-values.ts';

/** Length, projection on a hashed vector of unit variance; and the relative error of PyTorch's f32. */
type Digests = Readonly<Record<string, readonly [norm: number, projection: number, rounding: number]>>;

interface Fixture {
  readonly stem: number;
  readonly stages: readonly (readonly [pairs: number, channels: number, gated: number])[];
  readonly k: number;
  readonly size: number;
  readonly batch: number;
  readonly shift: number;
  readonly classes: number;
  readonly channels: number;
  readonly rates: readonly number[];
  readonly auxiliary: number;
  readonly loss: number;
  readonly gradients: Digests;
  readonly statistics: Digests;
}

const path = new URL('../../test/fixtures/segment-step/step.json', import.meta.url);
const fixture = JSON.parse(readFileSync(path, 'utf8')) as Fixture;
const { size, batch, classes } = fixture;

after(() => pool.dispose());

const backbone: MobileOneConfig = {
  name: 'net',
  inChannels: 3,
  stemChannels: fixture.stem,
  stages: fixture.stages.map(([pairs, channels]) => ({ pairs, channels, squeezeExcitePairs: 0 })),
  branches: fixture.k,
  classes: 0,
  squeezeRounding: 'floor',
};

type Make = (shape: Shape, data: Float64Array) => Tensor;

/** The step, with the gradients that its optimizer takes as outputs `gradient of <parameter>`. */
function stepOf(tensor: Make, mergeBranches: 'all' | 'none') {
  const { channels, rates } = fixture;
  const head = segmentHead('torchvision', { channels, rates: [...rates] });
  const options = { form: 'train', batch, height: size, width: size, auxiliary: true } as const;
  const net = buildHeadNet(head, backbone, classes, options).graph;
  const weights = new Map(
    net.parameters.map(({ value, role }) => {
      const { name, shape } = valueAt(net, value);
      return [name, tensor(shape, hashedParameter(name, shape, role, fixture.shift))] as const;
    }),
  );
  const rules = {
    optimizer: { kind: 'sgd', momentum: 0, nesterov: false },
    ...{ decayed: { norms: false, biases: false }, clip: null, average: null, layerDecay: 1, accumulate: 1 },
    ...{ freeze: 'none', mergeBranches },
  } as const;
  const loss = segmentLoss({ loss: { smoothing: 0, auxiliary: fixture.auxiliary } });
  const step = learningStep({ graph: net, weights }, rules, loss);
  const b = graphBuilder(step.graph.name, step.graph);
  for (const node of step.graph.nodes) {
    const [parameter, gradient] = node.inputs;
    if (node.kind === 'sgd' && parameter !== undefined && gradient !== undefined)
      b.output(`gradient of ${valueAt(step.graph, parameter).name}`, gradient);
  }
  return { graph: b.finish(), weights: step.weights };
}

/** Classes in rows, some ignored, as the fixture's script draws them. */
function truth(): Float64Array {
  const values = new Float64Array(batch * size * size * classes);
  hashedUniform('truth', batch * size).forEach((u, row) => {
    const drawn = Math.floor(((u + 1) / 2) * (classes + 1));
    const label = drawn === classes ? IGNORE : drawn;
    for (let x = 0; x < size && label !== IGNORE; x++) values[(row * size + x) * classes + label] = 1;
  });
  return values;
}

interface Run {
  readonly engine: Engine;
  readonly precision: Precision;
  readonly target?: string;
}

/** @param allowed largest relative error, given PyTorch's own in f32 */
async function compare(
  { engine, precision, target }: Run,
  mergeBranches: 'all' | 'none',
  allowed: (rounding: number) => number,
): Promise<string> {
  const tensor: Make = (shape, data) => ({
    shape,
    data: precision === 'f64' ? data : Float32Array.from(data),
  });
  const { graph, weights } = stepOf(tensor, mergeBranches);
  const session = await engine.compile(graph, weights, { precision, ...(target ? { target } : {}) });
  const pixels = [batch, size, size, 3];
  const image = hashedUniform('segment:image', elementCount(pixels)).map((u) =>
    Math.fround(u * Math.sqrt(3)),
  );
  const outputs = await session.run({
    image: tensor(pixels, image),
    targets: tensor([batch, size, size, classes], truth()),
    rates: tensor([2], Float64Array.of(0.01, 0)),
  });
  const state = session.state();
  const loss = Math.abs((outputs.loss?.data[0] ?? Number.NaN) / fixture.loss - 1);
  assert.ok(loss <= allowed(0), `loss: ${loss}`);
  let [worst, count] = [0, 0];
  const check = (what: string, of: Digests, found: (name: string) => Tensor | undefined): void => {
    for (const [name, [norm, projection, rounding]] of Object.entries(of)) {
      const [own, ownProjection] = digest(name, found(name)?.data ?? assert.fail(`${name} is missing`));
      const error = Math.max(Math.abs(own - norm), Math.abs(ownProjection - projection)) / norm;
      assert.ok(error <= allowed(rounding), `${what} of ${name}: ${error}, PyTorch f32 ${rounding}`);
      worst = Math.max(worst, error);
      count++;
    }
  };
  check('gradient', fixture.gradients, (name) => outputs[`gradient of ${name}`]);
  check('statistics', fixture.statistics, (name) => state.get(name));
  session.dispose();
  return `loss ${loss.toExponential(1)}, ${count} gradients and statistics: worst ${worst.toExponential(1)}`;
}

describe('a step of DeepLabV3 as in torchvision', () => {
  // The fixture has eight digits.
  test('reference engine', async (t) => {
    const run = { engine: referenceEngine, precision: 'f64' } as const;
    t.diagnostic(await compare(run, 'none', () => 2e-7));
  });
  for (const mergeBranches of ['none', 'all'] as const)
    for (const target of targets)
      test(`${target}, merged branches: ${mergeBranches}`, { skip: skipTarget(target) }, async (t) => {
        const run = { engine: cpuEngine, precision: 'f32', target } as const;
        // A 1×1 weight before a norm has next to no gradient; what is left of it is rounding in PyTorch too.
        t.diagnostic(await compare(run, mergeBranches, (rounding) => Math.max(1e-3, 3 * rounding)));
      });
});
