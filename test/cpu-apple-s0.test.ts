/** Apple's S0 weights on every target: the logits of an independent C program. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { memorySource } from '../src/format/byte-source.ts';
import { buildMobileOne } from '../src/model/mobileone.ts';
import { readNet } from '../src/task/read-net.ts';
import { appleS0File, channelsLast } from './support/apple-s0.ts';
import { engine, pool, skipTarget, targets } from './support/cpu.ts';
import { golden, skipWithout } from './support/shared.ts';

after(() => pool.dispose());

describe("engine cpu on Apple's S0 weights", {
  skip: skipWithout('data', 'mobileone-s0-apple'),
}, async () => {
  const data = (name: string): Buffer => readFileSync(golden('data', 'mobileone-s0-apple', name));
  const load = async () => {
    const { config, weights } = await readNet(memorySource(appleS0File(), 'apple-s0'));
    const bytes = data('apple.bin');
    const planes = new Float32Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    );
    return {
      weights,
      graph: buildMobileOne(config, { form: 'deploy' }),
      image: { shape: [1, 224, 224, 3], data: channelsLast(planes, 3, 224, 224) },
      expected: data('vector.txt').toString().trim().split('\n').map(Number),
    };
  };
  let loaded: ReturnType<typeof load> | undefined;

  for (const target of targets)
    for (const threads of [1, 2])
      test(`${target}, threads ${threads}: logits within 1e-4`, { skip: skipTarget(target) }, async () => {
        loaded ??= load();
        const { graph, weights, image, expected } = await loaded;
        const session = await engine.compile(graph, weights, { target, threads });
        const { logits } = await session.run({ image });
        const worst = Math.max(
          ...expected.map((value, i) => Math.abs(value - (logits?.data[i] ?? Number.NaN))),
        );
        assert.ok(worst <= 1e-4, `${worst}`);
        // More memory than the weights need is activations and packing.
        assert.ok((session.info?.memoryBytes ?? Number.NaN) < 8_314_016 + 4e6);
        session.dispose();
      });
});
