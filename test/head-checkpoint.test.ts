import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { FormatError, WeightsError } from '../src/errors.ts';
import { memorySource } from '../src/format/byte-source.ts';
import { createDetector } from '../src/task/detect.ts';
import { encodeHeadNet, type NamedHeadNet, readHeadNet, readTaskHead } from '../src/task/head-checkpoint.ts';
import { runnableNet } from '../src/task/head-net.ts';
import { inspectCheckpoint } from '../src/task/inspect-checkpoint.ts';
import { readNet } from '../src/task/read-net.ts';
import { createSegmenter } from '../src/task/segment.ts';
import { randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';

const image = scenePicture(70, 50);
const source = (bytes: Uint8Array) => memorySource(bytes, 'net.safetensors');

/** What a net says about a picture. */
async function answer({ head, ...rest }: NamedHeadNet): Promise<unknown> {
  if (head.task === 'detect')
    return (await createDetector({ ...rest, head }, { engine: referenceEngine })).detect(image);
  return (await createSegmenter({ ...rest, head }, { engine: referenceEngine })).segment(image);
}

const deployed = (net: NamedHeadNet): NamedHeadNet => ({
  ...net,
  form: 'deploy',
  weights: runnableNet(net, 'deploy').net.weights,
});

describe('a file of a net with a head answers for itself', async () => {
  const nets: Record<string, NamedHeadNet> = {
    detector: { ...randomDetector('mmdetection'), name: 'shapes' },
    segmenter: { ...(await randomSegmenter()), name: 'grounds' },
  };
  for (const [title, trained] of Object.entries(nets))
    for (const net of [trained, deployed(trained)])
      test(`${title}, ${net.form} form`, async () => {
        const bytes = encodeHeadNet(net);
        assert.deepEqual(await readTaskHead(source(bytes)), net.head);
        const read = await readHeadNet(source(bytes));
        for (const key of ['head', 'labels', 'transform', 'form', 'name'] as const)
          assert.deepEqual(read[key], net[key]);
        assert.deepEqual(await answer(read), await answer(net));
        const { net: inspected, metadata } = await inspectCheckpoint(source(bytes));
        assert.deepEqual([inspected?.match.complete, inspected?.form], [true, net.form]);
        assert.deepEqual(metadata?.head, net.head);
        await assert.rejects(readNet(source(bytes)), /detection|segmentation/);
      });

  test('what is missing or wrong is said', async () => {
    const { detector } = nets;
    assert.ok(detector);
    const less = new Map([...detector.weights].filter(([name]) => name !== 'ssd.boxes.3.predict.bias'));
    await assert.rejects(readHeadNet(source(encodeHeadNet({ ...detector, weights: less }))), (error) => {
      assert.ok(error instanceof WeightsError);
      return /1 missing \(ssd\.boxes\.3\.predict\.bias\)/.test(error.message);
    });
    const more = { ...detector, labels: [...detector.labels, 'moon'] };
    await assert.rejects(readHeadNet(source(encodeHeadNet(more))), /of another shape/);
    const text = new TextDecoder('latin1').decode(encodeHeadNet(detector));
    const spoilt = (from: string, to: string): Uint8Array =>
      Uint8Array.from(text.replace(from, to), (letter) => letter.charCodeAt(0));
    for (const [from, to] of [
      ['mmdetection', 'mmdetectiom'],
      ['"mobileone.labels"', '"mobileone.lobels"'],
      ['"clip', '"clap'],
    ] as const) {
      assert.ok(text.includes(from) || text.includes(from.replaceAll('"', '\\"')));
      const bytes = text.includes(from)
        ? spoilt(from, to)
        : spoilt(from.replaceAll('"', '\\"'), to.replaceAll('"', '\\"'));
      await assert.rejects(readHeadNet(source(bytes)), FormatError);
    }
  });
});
