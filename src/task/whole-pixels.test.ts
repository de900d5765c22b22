import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceEngine } from '../engine/reference/reference-engine.ts';
import type { Net } from '../graph/net.ts';
import { applyTransform } from '../image/apply-transform.ts';
import { type EvalTransform, evalTransforms } from '../image/eval-transform.ts';
import { mobileOneConfig } from '../model/config.ts';
import { initialWeights } from '../model/initialize.ts';
import { buildMobileOne } from '../model/mobileone.ts';
import { bfloat16ToNumber, numberToBfloat16 } from '../tensor/half.ts';
import { createRandom } from '../tensor/random.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { wholePixels } from './whole-pixels.ts';

const SIDE = 32;
const config = mobileOneConfig('s0', { classes: 2, widths: [0.25, 0.25, 0.25, 0.25] });
const graph = buildMobileOne(config, { form: 'deploy', height: SIDE, width: SIDE, outputs: ['stem'] });
const net: Net = { graph, weights: initialWeights(graph, 'timm', 1) };
const random = createRandom(4);
const picture = {
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from({ length: 3 * SIDE * SIDE }, () => random.integer(256)),
};

async function stemOf({ graph, weights }: Net, transform: EvalTransform): Promise<Tensor> {
  const session = await referenceEngine.compile(graph, weights, { precision: 'f64' });
  const { stem } = await session.run({ image: applyTransform(picture, transform) });
  assert.ok(stem);
  return stem;
}

for (const name of ['apple', 'mmpretrain', 'corenet'] as const)
  test(`${name}: a net of whole pixels gives the same, but for half a step of a pixel at the border`, async () => {
    const size = { width: SIDE, height: SIDE };
    const given: EvalTransform = { ...evalTransforms[name], resize: { kind: 'exact', ...size }, crop: null };
    const { net: whole, transform } = wholePixels({ net, transform: given });
    for (const value of applyTransform(picture, transform).data) {
      assert.ok(Number.isInteger(value));
      assert.equal(bfloat16ToNumber(numberToBfloat16(value)), value);
    }
    const [expected, found] = [await stemOf(net, given), await stemOf(whole, transform)];
    const [, , columns = 0, channels = 0] = expected.shape;
    // Padding is half a step of a pixel off at most, under five of the nine taps of a corner.
    const largest = Math.max(...(net.weights.get('stem.weight')?.data ?? []).map(Math.abs));
    const step = Math.max(...given.std.map((std) => (0.5 * given.scale) / 255 / std));
    expected.data.forEach((value, i) => {
      const column = Math.floor(i / channels) % columns;
      const row = Math.floor(i / channels / columns);
      const border = row === 0 || column === 0 ? 15 * largest * step : 0;
      assert.ok(Math.abs((found.data[i] ?? 0) - value) <= 1e-4 + border, `${name} at ${row}, ${column}`);
    });
  });

test('a net that does not begin with one convolution is left as it is', () => {
  const shown = { ...graph, outputs: [...graph.outputs, { name: 'image', value: graph.inputs[0] }] };
  const given = {
    net: { graph: shown as typeof graph, weights: net.weights },
    transform: evalTransforms.apple,
  };
  assert.deepEqual(wholePixels(given), given);
});
