import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encodePng } from '../src/image/encode-png.ts';
import { decodePng } from '../src/image/png.ts';
import { decodeMask, parseRle } from '../src/metrics/detection/mask-rle.ts';
import { loadDetector, loadSegmenter } from '../src/node.ts';
import { encodeHeadNet } from '../src/task/head-checkpoint.ts';
import { type CliFolder, createCliFolder, pictureFile, smallNetFile } from './support/cli.ts';
import { randomDetector, randomSegmenter, scenePicture } from './support/head-nets.ts';

interface Answer {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly results: readonly {
    readonly image_id: number | string;
    readonly category_id: number;
    readonly category_name: string;
    readonly bbox: readonly number[];
    readonly score: number;
    readonly segmentation: { readonly size: readonly number[]; readonly counts: string };
    readonly area: number;
  }[];
}
const answers = (stdout: string): readonly Answer[] =>
  stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));

describe('mobileone predict with detectors and segmenters', { concurrency: 2 }, () => {
  let folder: CliFolder;
  const at = (name: string): string => join(folder.path, name);
  before(async () => {
    folder = await createCliFolder();
    const scene = scenePicture(131, 77);
    await writeFile(at('000012.png'), await encodePng(scene));
    await writeFile(at('b.png'), pictureFile(2));
    await writeFile(at('broken.png'), pictureFile(4).subarray(0, 200));
    await writeFile(at('small.safetensors'), smallNetFile());
    await writeFile(at('detect.safetensors'), encodeHeadNet({ ...randomDetector(), name: 'shapes' }));
    await writeFile(
      at('segment.safetensors'),
      encodeHeadNet({ ...(await randomSegmenter()), name: 'grounds' }),
    );
  });
  after(() => folder.remove());

  test("COCO's results of detection, as from TypeScript, and a drawing", async () => {
    const args = ['predict', '000012.png', '--model', 'detect.safetensors', '--score', '0.4', '--most', '7'];
    const { code, stdout, stderr } = await folder.run([
      ...args,
      '--classes',
      'star, circle',
      '--json',
      '--out',
      'drawn.png',
    ]);
    assert.deepEqual([code, stderr], [0, '']);
    const [answer] = answers(stdout);
    const detector = await loadDetector(at('detect.safetensors'));
    const wanted = { leastScore: 0.4, most: 7, classes: ['star', 'circle'] };
    const objects = await detector.detect(at('000012.png'), wanted);
    detector.dispose();
    assert.ok(objects.length > 0 && answer?.results.length === objects.length);
    assert.deepEqual([answer.width, answer.height], [131, 77]);
    answer.results.forEach((result, i) => {
      const { label, className, score, box } = objects[i] ?? assert.fail();
      assert.deepEqual(
        [result.image_id, result.category_id, result.category_name, result.score],
        [12, label, className, score],
      );
      [box.x, box.y, box.width, box.height].forEach((side, c) => {
        assert.ok(Math.abs(side - (result.bbox[c] ?? Number.NaN)) <= 0.0051);
      });
    });
    const drawn = await decodePng(await readFile(at('drawn.png')));
    assert.equal(drawn.width % 131, 0);
  });

  test('regions as run-length masks at the size of the picture', async () => {
    const args = ['predict', '000012.png', '--model', 'segment.safetensors', '--json'];
    const [answer] = answers((await folder.run(args)).stdout);
    const segmenter = await loadSegmenter(at('segment.safetensors'));
    const { classMap } = await segmenter.segment(at('000012.png'));
    segmenter.dispose();
    const found = new Uint8Array(classMap.length);
    for (const { category_id, segmentation, area } of answer?.results ?? []) {
      assert.deepEqual(segmentation.size, [77, 131]);
      const mask = decodeMask(parseRle(segmentation.counts, 77, 131));
      mask.forEach((on, i) => {
        if (on) found[i] = category_id;
      });
      assert.equal(
        mask.reduce((sum, on) => sum + on, 0),
        area,
      );
    }
    assert.deepEqual(found, classMap);
  });

  test('tables, drawings in a folder, and a broken picture stops nothing', async () => {
    for (const model of ['detect', 'segment']) {
      const args = ['predict', '000012.png', 'broken.png', 'b.png', '--model', `${model}.safetensors`];
      const { code, stdout, stderr } = await folder.run([...args, '--out', `${model}-out`]);
      assert.equal(code, 1);
      assert.match(stderr, /broken\.png/);
      assert.match(stdout, model === 'detect' ? /shapes from .*detection/ : /grounds from .*segmentation/);
      assert.match(stdout, new RegExp(`000012\\.png → ${model}-out.000012\\.png`));
      assert.match(stdout, /circle|star|cross|ground/);
      assert.deepEqual((await readdir(at(`${model}-out`))).sort(), ['000012.png', 'b.png']);
    }
  });

  test('options that make no sense are refused with a reason', async () => {
    const cases = [
      [['--model', 'small.safetensors', '--score', '0.5'], /--score/],
      [['--model', 'detect.safetensors', '--top', '3'], /--top/],
      [['--model', 'detect.safetensors', '--classes', 'moon'], /moon.*circle, star, cross/],
      [['--model', 'segment.safetensors', '--most', '3'], /--most/],
      [['--model', 'detect.safetensors', '--score', '1.5'], /0 to 1/],
    ] as const;
    for (const [args, pattern] of cases) {
      const { code, stderr } = await folder.run(['predict', 'b.png', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr.replace(/\s+/g, ' '), pattern);
    }
  });
});
