import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { importOnnx, NotCovered } from './support/onnx-importer.ts';
import { type OnnxArray, type OnnxFile, readOnnx } from './support/onnx-reader.ts';
import { golden, skipWithout } from './support/shared.ts';

interface OnnxTest {
  readonly name: string;
  readonly opset: number;
  readonly nodes: OnnxFile['nodes'];
  readonly initializers: Readonly<Record<string, OnnxArray>>;
  readonly inputs: Readonly<Record<string, OnnxArray>>;
  readonly outputs: Readonly<Record<string, OnnxArray>>;
}

const folder = (...parts: string[]): string => golden('data', 'onnx-op-tests', ...parts);

function onnxTests(): readonly OnnxTest[] {
  return readdirSync(folder('json'))
    .sort()
    .map((file): OnnxTest => JSON.parse(readFileSync(folder('json', file), 'utf8')));
}

/** Largest difference as a share of the largest expected number. */
function relativeError(actual: ArrayLike<number>, { data }: OnnxArray): number {
  assert.equal(actual.length, data.length);
  const scale = Math.max(...data.map(Math.abs));
  const differences = data.map((value, i) => Math.abs((actual[i] ?? Number.NaN) - value));
  return Math.max(...differences) / scale; // NaN wins
}

/** The origin allows 10⁻⁴ + 10⁻³·|expected|. */
const tolerance = 1e-6;
const looser: Readonly<Record<string, number>> = {
  // Its expected numbers are written with four decimals.
  test_averagepool_2d_ceil_last_window_starts_on_pad: 2e-4,
};

/** The error, or the reason why the test is outside our ops. */
async function runOnnxTest(one: OnnxTest): Promise<number | string> {
  try {
    const net = importOnnx({ ...one, outputs: Object.keys(one.outputs) });
    const session = await referenceEngine.compile(net.graph, net.weights);
    const results = await session.run(net.inputs);
    const errors = Object.entries(one.outputs).map(([name, expected]) =>
      relativeError(net.restore(results[name] ?? assert.fail(`no output ${name}`)).data, expected),
    );
    return Math.max(...errors);
  } catch (error) {
    if (error instanceof NotCovered) return error.message;
    throw new Error(`${one.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

const expectedCovered = 74;
/** How many of the 317 are outside our ops, and why; a number that grows is coverage lost. */
const expectedReasons: Readonly<Record<string, number>> = {
  'no op of ours': 186,
  'window over three axes': 13,
  'resize that is nearest': 7,
  'resize that is cubic': 6,
  'other numbers than float32': 5,
  'Clip with other constants than relu6': 4,
  'flatten from another axis than the first': 4,
  'transposed tensors': 4,
  'product of other than matrices': 3,
  'HardSigmoid with other constants than hardSigmoid': 2,
  'resize at tf_crop_and_resize': 2,
  'positions of maxima': 1,
  'resize at half_pixel_symmetric': 1,
  'resize at pytorch_half_pixel': 1,
  'resize by a scale that is not a ratio of sizes': 1,
  'resize with antialiasing': 1,
  'softmax along an inner axis': 1,
  'transposed activations': 1,
};

/** Attribute and node lists in one order and without what the JSON form leaves out. */
function plainNodes(nodes: OnnxFile['nodes']): unknown {
  return nodes.map(({ op, inputs, outputs, attributes }) => {
    const entries = Object.entries(attributes).map(([key, value]) =>
      typeof value === 'object' && 'dims' in value ? [key, value.dtype, value.dims] : [key, value],
    );
    return [op, inputs, outputs, entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))];
  });
}

const skip = skipWithout('data', 'onnx-op-tests');

describe('ONNX backend tests', () => {
  test('those that our ops cover pass on the reference engine; the others have a reason', {
    skip,
  }, async (t) => {
    const reasons: Record<string, number> = {};
    const covered: string[] = [];
    let worst = 0;
    for (const one of onnxTests()) {
      const result = await runOnnxTest(one);
      if (typeof result === 'string') reasons[result] = (reasons[result] ?? 0) + 1;
      else {
        covered.push(one.name);
        assert.ok(result <= (looser[one.name] ?? tolerance), `${one.name}: ${result}`);
        if (!(one.name in looser)) worst = Math.max(worst, result);
      }
    }
    const total = covered.length + Object.values(reasons).reduce((a, b) => a + b, 0);
    t.diagnostic(`${covered.length} of ${total} covered, largest relative error ${worst.toExponential(1)}`);
    for (const [reason, count] of Object.entries(reasons)) t.diagnostic(`${count} outside: ${reason}`);
    assert.deepEqual(reasons, expectedReasons);
    assert.equal(covered.length, expectedCovered, covered.join(' '));
  });

  test('the reader of ONNX files finds what their JSON form says', { skip }, () => {
    for (const one of onnxTests()) {
      const file = readOnnx(readFileSync(folder('onnx', one.name, 'model.onnx')));
      assert.deepEqual(plainNodes(file.nodes), plainNodes(one.nodes), one.name);
      // Training operators are in a domain of their own, with no opset of the default one.
      assert.ok(file.opset === one.opset || file.opset === 0, one.name);
      assert.deepEqual(Object.keys(file.initializers), Object.keys(one.initializers), one.name);
      for (const [name, array] of Object.entries(one.initializers)) {
        const found = file.initializers[name];
        assert.deepEqual([found?.dtype, found?.dims], [array.dtype, array.dims], one.name);
        const close = (value: number, i: number): boolean => Math.fround(value) === found?.data[i];
        assert.ok(array.data.every(close), `${one.name} ${name}`);
      }
    }
  });
});
