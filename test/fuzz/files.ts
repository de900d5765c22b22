import { memorySource } from '../../src/format/byte-source.ts';
import { writeWeights } from '../../src/format/weights-file.ts';
import { applyTransform } from '../../src/image/apply-transform.ts';
import { evalTransforms } from '../../src/image/eval-transform.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { createNodeDecoder } from '../../src/platform/node/image-decoder.ts';
import { readNet } from '../../src/task/read-net.ts';
import type { Random } from '../../src/tensor/random.ts';
import { type PickleInput, tensorInput, torchZip } from '../support/checkpoint-fixtures.ts';
import { pillow } from '../support/pillow.ts';
import { makePng } from '../support/png.ts';
import { seededWeights } from '../support/seeded-net.ts';
import { pick, refusable, type Scenario, someOptions } from './scenario.ts';

/** Cuts, flips, overwrites, repeats or replaces bytes; now and then leaves them alone. */
function damage(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const some = Math.min(bytes.length, pick(random, [64, 512, bytes.length]));
  const place = (): number => random.integer(some);
  const byte = (): number => pick(random, [0, 1, 0x7f, 0x80, 0xff, random.integer(256)]);
  const ways: readonly (() => Uint8Array)[] = [
    () => copy,
    () => copy.subarray(0, place()),
    () => copy.subarray(place()),
    () => Uint8Array.from({ length: random.integer(300) }, () => random.integer(256)),
    () => {
      for (let i = 0; i < 1 + random.integer(8); i++) copy[place()] = byte();
      return copy;
    },
    () => {
      const at = place();
      copy.fill(byte(), at, at + random.integer(40));
      return copy;
    },
    () => {
      copy.copyWithin(place(), place(), place() + random.integer(64));
      return copy;
    },
  ];
  return pick(random, ways)();
}

const config = mobileOneConfig('s0', { widths: [0.1, 0.1, 0.1, 0.1], pairs: [1, 1, 1, 1], classes: 3 });
const weights = seededWeights(buildMobileOne(config, { form: 'deploy', height: 32, width: 32 }));

function torchFile(): Uint8Array {
  const root = new Map<PickleInput, PickleInput>();
  const storages: Record<string, Uint8Array> = {};
  for (const [name, { shape, data }] of weights) {
    const key = String(root.size);
    root.set(name, tensorInput({ key, shape }));
    storages[key] = new Uint8Array(Float32Array.from(data).buffer);
  }
  return torchZip(root, storages);
}

const checkpoints = [
  writeWeights(weights, 'mobileone'),
  writeWeights(weights, 'apple'),
  writeWeights(weights, 'timm', {}, 'bf16'),
  torchFile(),
];

/** Checkpoints cut and changed; what can still be read must run. */
export const damagedCheckpoints: Scenario = {
  run: ({ random, engine }) =>
    refusable(async () => {
      const net = await readNet(memorySource(damage(pick(random, checkpoints), random), 'damaged'));
      const graph = buildMobileOne(net.config, { form: net.form, height: 32, width: 32 });
      const session = await engine.compile(graph, net.weights, someOptions(random));
      await session.run({ image: { shape: [1, 32, 32, 3], data: new Float32Array(3072).fill(0.5) } });
      session.dispose();
    }),
};

const pixels = Uint8Array.from({ length: 9 * (1 + 3 * 11) }, (_, i) =>
  i % 34 === 0 ? (i / 34) % 5 : i % 256,
);
const pictures = [
  ...Object.values(pillow.jpeg).map(({ base64 }) => Uint8Array.from(Buffer.from(base64, 'base64'))),
  Uint8Array.from(makePng({ width: 11, height: 9, rows: pixels })),
];
const decoders = [await createNodeDecoder({ decoder: 'portable' }), await createNodeDecoder()];

/** Pictures cut and changed, or no pictures at all. */
export const damagedPictures: Scenario = {
  run: ({ random }) =>
    refusable(async () => {
      const options = { maxPixels: 1e6 };
      const image = await pick(random, decoders).decode(damage(pick(random, pictures), random), options);
      const { data } = applyTransform(image, evalTransforms.apple);
      if (!data.every(Number.isFinite)) throw new Error('a picture gave numbers that are not finite');
    }),
};
