import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makePng, pngChunk } from '../../../test/support/png.ts';
import { golden, skipWithout } from '../../../test/support/shared.ts';
import { DataError } from '../../errors.ts';
import { IGNORE } from '../../image/index-map.ts';
import { createPortableDecoder } from '../../image/portable-decoder.ts';
import { folderFiles } from '../../platform/node/folder-files.ts';
import { createRandom } from '../../tensor/random.ts';
import { memoryFiles } from '../files.ts';
import { checkAnnotations, describeAnnotationReport } from './check-annotations.ts';
import { UNKNOWN } from './class-list.ts';
import { type OpenAnnotatedOptions, openAnnotated } from './open-annotated.ts';
import { readJointSample } from './read-joint.ts';
import { parseXml } from './xml.ts';
import { yamlNames } from './yolo.ts';

const decoder = createPortableDecoder({ advice: '' });
const photo = (width = 40, height = 20): Uint8Array => makePng({ width, height });
const mask = (values: readonly number[], width: number, palette = false): Uint8Array => {
  const height = values.length / width;
  const rows = Uint8Array.from({ length: height * (width + 1) }, (_, i) =>
    i % (width + 1) === 0 ? 0 : (values[Math.floor(i / (width + 1)) * width + (i % (width + 1)) - 1] ?? 0),
  );
  const before = palette ? [pngChunk('PLTE', new Uint8Array(768).fill(9))] : [];
  return makePng({ width, height, rows, colourType: palette ? 3 : 0, before });
};

const open = (
  contents: Readonly<Record<string, string | Uint8Array>>,
  options: OpenAnnotatedOptions = {},
) => {
  const bytes = Object.entries(contents).map(
    ([path, value]) => [path, typeof value === 'string' ? new TextEncoder().encode(value) : value] as const,
  );
  return openAnnotated(memoryFiles('set', new Map(bytes)), decoder, { holdOut: 0, ...options });
};

const coco = (annotations: readonly unknown[], images = ['a.png', 'b.png']): string =>
  JSON.stringify({
    images: images.map((file_name, i) => ({ id: i + 1, file_name, width: 40, height: 20 })),
    annotations,
    categories: [
      { id: 7, name: 'dog' },
      { id: 3, name: 'cat' },
    ],
  });
const entry = (id: number, bbox: readonly number[], more: object = {}) => ({
  id,
  image_id: 1,
  category_id: 3,
  bbox,
  iscrowd: 0,
  ...more,
});

describe('COCO', () => {
  test('categories in the order of their ids, parts by name, boxes, polygons and runs', async () => {
    const outline = [1, 1, 9, 1, 9, 9];
    const data = await open({
      'images/train/a.png': photo(),
      'images/val/a.png': photo(),
      'images/train/b.png': photo(),
      'annotations/instances_train2017.json': coco([
        entry(1, [1, 1, 8, 8], { category_id: 7, segmentation: [outline], area: 32 }),
        entry(2, [0, 0, 2, 20], { iscrowd: 1, segmentation: { size: [20, 40], counts: [0, 40, 760] } }),
      ]),
      'annotations/instances_val2017.json': coco([], ['a.png']),
    });
    assert.equal(data.format, 'coco');
    assert.deepEqual(data.classes, ['cat', 'dog']);
    const [first, second] = data.train.samples;
    assert.deepEqual([first?.path, second?.path], ['images/train/a.png', 'images/train/b.png']);
    assert.deepEqual(
      data.val?.samples.map(({ path }) => path),
      ['images/val/a.png'],
    );
    const [dog, crowd] = first?.target.objects ?? [];
    assert.deepEqual([dog?.category, dog?.box, dog?.area], [1, [1, 1, 8, 8], 32]);
    assert.deepEqual(dog?.mask, { kind: 'polygons', polygons: [outline] });
    assert.deepEqual([crowd?.category, crowd?.crowd, crowd?.area], [0, true, 40]);
  });

  test('a namesake of another part never stands in for a missing picture', async () => {
    const data = await open({
      'train/images/a.png': photo(),
      'train/images/b.png': photo(),
      'val/images/b.png': photo(),
      'train/instances.json': coco([]),
      'val/instances.json': coco([]),
    });
    assert.deepEqual(
      data.val?.samples.map(({ path }) => path),
      ['val/images/b.png'],
    );
    assert.deepEqual(
      data.findings.map(({ kind, where }) => [kind, where]),
      [['missing', 'val/instances.json image 1']],
    );
    // Folders that say no part may serve all of them.
    const shared = { 'images/a.png': photo(), 'images/b.png': photo() };
    const both = await open({
      ...shared,
      'train.json': coco([], ['a.png']),
      'val.json': coco([], ['b.png']),
    });
    assert.deepEqual([both.findings.length, both.val?.samples[0]?.path], [0, 'images/b.png']);
  });

  test('every fault is found with file and id; the rest can be used', async () => {
    const data = await open({
      'a.png': photo(),
      'b.png': photo(30, 20),
      'train.json': coco(
        [
          entry(1, [30, 5, 20, 5]),
          entry(2, [50, 5, 5, 5]),
          entry(3, [5, 5, 0, 5]),
          entry(4, [5, 5, 5, 5], { category_id: 99 }),
          entry(5, [5, 5, 5, 5], { segmentation: { size: [10, 10], counts: [0, 100] } }),
          entry(6, [5, 5, 5, 5], { iscrowd: 1 }),
          entry(7, [5, 5, 5]),
          entry(8, [5, 5, 5, 5], { image_id: 77 }),
          entry(9, [5, 5, 5, 5], { segmentation: { size: [20, 40], counts: [3] } }),
        ],
        ['a.png', 'b.png', 'c.png'],
      ),
    });
    const { data: usable, report } = await checkAnnotations(data, decoder);
    assert.deepEqual(report.findings.map(({ kind, where }) => [kind, where]).sort(), [
      ['box-clipped', 'train.json annotation 1'],
      ['box-outside', 'train.json annotation 2'],
      ['crowd', 'train.json annotation 6'],
      ['empty', 'train.json image 2'],
      ['malformed', 'train.json annotation 7'],
      ['malformed', 'train.json annotation 9'],
      ['mask-size', 'train.json annotation 5'],
      ['missing', 'train.json annotation 8'],
      ['missing', 'train.json image 3'],
      ['picture-size', 'train.json image 2'],
      ['unknown-category', 'train.json annotation 4'],
      ['zero-area', 'train.json annotation 3'],
    ]);
    const [kept] = usable.train.samples;
    assert.deepEqual(
      kept?.target.objects.map(({ box, mask: of }) => [box, of]),
      [
        [[30, 5, 10, 5], undefined],
        [[5, 5, 5, 5], undefined],
        [[5, 5, 5, 5], undefined],
      ],
    );
    assert.ok(describeAnnotationReport(report).some((line) => line.includes('train.json annotation 2')));
    await assert.rejects(checkAnnotations(data, decoder, { onFault: 'stop' }), DataError);
  });

  test('a file that is not COCO as a whole is refused with the place', async () => {
    const json = JSON.stringify({ images: [{ id: 1 }], annotations: [], categories: [{ id: 1, name: 'x' }] });
    await assert.rejects(open({ 'a.png': photo(), 'x.json': json }), /x\.json.*images\.0\.file_name/);
    await assert.rejects(open({ 'a.png': photo(), 'x.json': '{"annotations": [' }), /not JSON/);
  });
});

const xml = (objects: string): string =>
  `<?xml version="1.0"?>\n<annotation>\n<filename>a.png</filename>\n<size><width>40</width><height>20</height></size>\n${objects}\n</annotation>`;
const object = (name: string, corners: readonly number[]): string => {
  const tags = ['xmin', 'ymin', 'xmax', 'ymax'].map((tag, i) => `<${tag}>${corners[i]}</${tag}>`);
  return `<object><name>${name}</name><difficult>1</difficult><bndbox>${tags.join('')}</bndbox></object>`;
};

describe('Pascal VOC', () => {
  test('lists give the parts, classes are what occurs, faults have their line', async () => {
    const data = await open({
      'JPEGImages/a.png': photo(),
      'JPEGImages/b.png': photo(),
      'Annotations/a.xml': xml(`${object('dog', [1, 2, 11, 12])}\n${object('cat &amp; co', [3, 3, 3, 9])}`),
      'Annotations/b.xml': xml('<object><name>dog</name></object>'),
      'ImageSets/Main/train.txt': 'a\n',
      'ImageSets/Main/val.txt': 'b\ngone\n',
      'ImageSets/Main/dog_train.txt': 'a -1\n',
    });
    assert.equal(data.format, 'voc');
    assert.deepEqual(data.classes, ['cat & co', 'dog']);
    const [dog] = data.train.samples[0]?.target.objects ?? [];
    assert.deepEqual(
      [dog?.box, dog?.difficult, dog?.where],
      [[1, 2, 10, 10], true, 'Annotations/a.xml line 5'],
    );
    const { report } = await checkAnnotations(data, decoder);
    assert.deepEqual(
      report.findings.map(({ kind, where }) => [kind, where]),
      [
        ['malformed', 'Annotations/b.xml line 5'],
        ['missing', 'list val'],
        ['zero-area', 'Annotations/a.xml line 6'],
        ['empty', 'Annotations/b.xml'],
      ],
    );
  });

  test('XML that does not nest or knows more than VOC needs is refused with its line', () => {
    assert.equal(parseXml('<a><!-- <b> --><c x="1"/>t</a>', 'f').text, 't');
    for (const wrong of ['<a>\n<b></a>', '<a>\n', '<a>\n&what;</a>', '<a/>\n<b/>', '\n<![CDATA[x]]>'])
      assert.throws(() => parseXml(wrong, 'f'), /^MobileOneDataError: f line 2/);
  });
});

describe('YOLO', () => {
  test('boxes and outlines in shares become pixels; a picture without text has no objects', async () => {
    const data = await open({
      'train/images/a.png': photo(),
      'train/images/b.png': photo(),
      'train/labels/a.txt': '1 0.5 0.5 0.5 0.5\n0 0 0 0.5 0 0.5 0.5\n5 0.5 0.5 0.1 0.1\n0 x\n',
      'train/labels/gone.txt': '',
      'valid/images/c.png': photo(),
      'valid/labels/c.txt': '0 0.5 0.5 1 1',
      'data.yaml': "train: ../train\nnc: 2\nnames: ['cat', dog]\n",
    });
    assert.deepEqual([data.format, data.classes, data.valSource], ['yolo', ['cat', 'dog'], 'val']);
    const [a, b] = data.train.samples;
    assert.deepEqual(
      a?.target.objects.map(({ category, box, area }) => [category, box, area]),
      [
        [1, [10, 5, 20, 10], 200],
        [0, [0, 0, 20, 10], 100],
      ],
    );
    assert.deepEqual(b?.target.objects, []);
    assert.deepEqual(
      data.findings.map(({ kind, where }) => [kind, where]),
      [
        ['missing', 'train/labels/gone.txt'],
        ['unknown-category', 'train/labels/a.txt line 3'],
        ['malformed', 'train/labels/a.txt line 4'],
      ],
    );
  });

  test('names of a data.yaml in its three forms', () => {
    for (const form of [
      'names: [a, "b c"]',
      'names:\n  - a\n  - b c\nnc: 2',
      'names:\n  0: a\n  1: "b c" # two',
    ])
      assert.deepEqual(yamlNames(form, 'f'), ['a', 'b c']);
    assert.equal(yamlNames('nc: 2', 'f'), undefined);
    assert.throws(() => yamlNames('names:\n  1: a', 'f'), DataError);
  });
});

describe('mask folders', () => {
  test('palette and grey numbers, ignore values and strange ones', async () => {
    const data = await open({
      'train/images/a.png': photo(2, 2),
      'train/masks/a.png': mask([0, 1, 11, 1], 2, true),
      'train/images/b.png': photo(2, 2),
      'train/masks/b.png': mask([0, 0, 77, 255], 2),
      'train/images/c.png': photo(2, 2),
      'train/masks/c.png': mask([0, 1], 1),
      'train/images/d.png': photo(2, 2),
      'val/images/e.png': photo(2, 2),
      'val/masks/e.png': photo(2, 2),
      'classes.json': JSON.stringify({
        classes: [
          { id: 0, name: 'sky' },
          { id: 1, name: 'road' },
          { id: 11, name: 'void' },
        ],
        ignore_index: 11,
      }),
    });
    assert.deepEqual([data.format, data.classes], ['masks', ['sky', 'road']]);
    const coding = data.train.coding ?? [];
    assert.deepEqual(
      [coding[0], coding[1], coding[11], coding[255], coding[77]],
      [0, 1, IGNORE, IGNORE, UNKNOWN],
    );
    const { data: usable, report } = await checkAnnotations(data, decoder);
    assert.deepEqual(
      report.findings.map(({ kind, where }) => [kind, where]),
      [
        ['missing', 'train/images/d.png'],
        ['unknown-values', 'train/masks/b.png'],
        ['mask-size', 'train/masks/c.png'],
        ['unreadable', 'val/masks/e.png'],
      ],
    );
    assert.deepEqual(report.parts, [
      { split: 'train', pictures: 2, perClass: [2, 1] },
      { split: 'val', pictures: 0, perClass: [0, 0] },
    ]);
    assert.equal(usable.train.samples.length, 2);
  });

  test('the conventions of VOC, ADE20K and CamVid', async () => {
    const voc = await open({
      'JPEGImages/a.png': photo(),
      'SegmentationClass/a.png': photo(),
      'ImageSets/Segmentation/train.txt': 'a',
    });
    assert.deepEqual([voc.classes.length, voc.train.coding?.[20], voc.train.coding?.[255]], [21, 20, IGNORE]);
    const ade = await open({
      'images/training/a.png': photo(),
      'annotations/training/a.png': photo(),
      'images/validation/b.png': photo(),
      'annotations/validation/b.png': photo(),
      'objectInfo150.txt':
        'Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t1\t1\t1\twall;x\n2\t0.1\t1\t1\t1\tsky',
    });
    assert.deepEqual([ade.classes, ade.valSource], [['wall', 'sky'], 'val']);
    assert.deepEqual([...(ade.train.coding?.subarray(0, 3) ?? [])], [IGNORE, 0, 1]);
    const camvid = await open({
      'train/a.png': photo(),
      'trainannot/a.png': photo(),
      'classes.txt': 'sky\nroad',
    });
    assert.equal(camvid.train.samples[0]?.path, 'train/a.png');
    await assert.rejects(open({ 'images/a.png': photo(), 'masks/a.png': photo() }), /classes\.txt/);
  });
});

test('damaged files give data, findings or an error of ours, never anything else', async () => {
  const random = createRandom(5);
  const outline = [1, 1, 9, 1, 9, 9];
  const originals: Readonly<Record<string, string>> = {
    'train.json': coco([
      entry(1, [1, 1, 8, 8], { segmentation: [outline] }),
      entry(2, [0, 0, 2, 20], { segmentation: { size: [20, 40], counts: [0, 40, 760] } }),
      entry(3, [0, 0, 2, 20], { segmentation: { size: [20, 40], counts: 'PPYo1' } }),
    ]),
    'Annotations/a.xml': xml(object('dog &#65;', [1, 2, 11, 12])),
    'labels/a.txt': '0 0.5 0.5 0.5 0.5\n1 0 0 0.5 0 0.5 0.5',
    'data.yaml': 'names:\n  0: a\n  1: "b c" # two',
    'classes.json': JSON.stringify({ classes: [{ id: 0, name: 'sky' }], ignore_index: 3 }),
  };
  const kinds = ['coco', 'voc', 'yolo', 'masks'] as const;
  let opened = 0;
  for (let trial = 0; trial < 600; trial++) {
    const pieces = ['9', '-', '0', 'e9', '"', '<', '>', '&', '{', '}', '[', ']', ',', 'null', ':', '\n', 'x'];
    const damaged = Object.entries(originals).map(([path, text]) => {
      const at = random.integer(text.length);
      const cut = random.integer(3);
      return [
        path,
        text.slice(0, at) + pieces[random.integer(pieces.length)] + text.slice(at + cut),
      ] as const;
    });
    const format = kinds[trial % kinds.length] ?? 'coco';
    try {
      const data = await open(
        { 'a.png': photo(), 'masks/a.png': mask([0], 1), ...Object.fromEntries(damaged) },
        { format },
      );
      const { data: usable } = await checkAnnotations(data, decoder);
      for (const sample of usable.train.samples)
        await readJointSample(usable.train, sample, decoder, { objectMasks: true });
      opened++;
    } catch (cause) {
      assert.ok(cause instanceof DataError, `trial ${trial}: ${cause}`);
    }
  }
  assert.ok(opened > 100, `${opened} could be used`);
});

test('a polygon far outside is left out, not drawn', async () => {
  const far = entry(1, [1, 1, 8, 8], { segmentation: [[1, 1, 1e12, 1, 9, 9]] });
  const data = await open({ 'a.png': photo(), 'b.png': photo(), 'train.json': coco([far]) });
  const [sample] = data.train.samples;
  assert.ok(sample);
  await assert.rejects(readJointSample(data.train, sample, decoder, { objectMasks: true }), DataError);
  const { data: usable, report } = await checkAnnotations(data, decoder);
  assert.equal(report.counts['mask-size'], 1);
  assert.equal(usable.train.samples[0]?.target.objects[0]?.mask, undefined);
});

test('data without annotations says what was looked for', async () => {
  await assert.rejects(open({ 'a.png': photo() }), /COCO JSON.*YOLO/);
});

describe('real data', () => {
  const read = (name: string, options?: OpenAnnotatedOptions) =>
    openAnnotated(folderFiles(golden('data', name)), decoder, options);
  const totals = ({ parts }: Awaited<ReturnType<typeof checkAnnotations>>['report']) =>
    parts.map(({ split, pictures, perClass }) => [split, pictures, perClass.reduce((a, b) => a + b, 0)]);

  test('det-bccd as VOC and as COCO', { skip: skipWithout('data', 'det-bccd') }, async () => {
    const voc = await checkAnnotations(await read('det-bccd', { format: 'voc' }), decoder);
    const json = await checkAnnotations(await read('det-bccd'), decoder);
    assert.deepEqual([voc.data.format, json.data.format], ['voc', 'coco']);
    assert.deepEqual(voc.data.classes, json.data.classes);
    const zero = voc.report.findings.filter(({ kind }) => kind === 'zero-area').map(({ where }) => where);
    assert.deepEqual(zero.map((where) => where.replace(/ line.*/, '')).sort(), [
      'Annotations/BloodImage_00338.xml',
      'Annotations/BloodImage_00343.xml',
    ]);
    assert.deepEqual(totals(voc.report), totals(json.report));
    const boxes = (data: typeof voc.data) =>
      data.train.samples
        .map(({ path, target }) => [path, target.objects.map(({ category, box }) => [category, ...box])])
        .sort();
    assert.deepEqual(boxes(voc.data), boxes(json.data));
  });

  test('coco-mini-cc: 620 annotations, 7 crowds', { skip: skipWithout('data', 'coco-mini-cc') }, async () => {
    const { report } = await checkAnnotations(await read('coco-mini-cc', { holdOut: 0 }), decoder);
    assert.deepEqual(totals(report), [['train', 63, 620]]);
    assert.equal(report.counts.crowd, 7);
    assert.equal(report.classes.length, 80);
  });

  test('detseg-nuts and detseg-nuclei: objects or masks', {
    skip: skipWithout('data', 'detseg-nuts'),
  }, async () => {
    const nuts = await checkAnnotations(await read('detseg-nuts'), decoder);
    assert.deepEqual(totals(nuts.report), [
      ['train', 16, 153],
      ['test', 2, 12],
    ]);
    const masks = await read('detseg-nuts', {
      task: 'segment',
      classes: ['none', 'date', 'fig', 'hazelnut'],
    });
    assert.deepEqual(totals((await checkAnnotations(masks, decoder)).report).at(-1), ['test', 2, 8]);
    const nuclei = await read('detseg-nuclei', { task: 'segment' });
    assert.deepEqual([nuclei.train.samples.length, nuclei.val?.samples.length], [460, 110]);
    const cells = await read('detseg-nuclei');
    assert.equal(
      cells.train.samples.reduce((sum, { target }) => sum + target.objects.length, 0),
      20395,
    );
  });

  test('seg-camvid: 11 classes, void ignored', { skip: skipWithout('data', 'seg-camvid') }, async () => {
    const data = await read('seg-camvid');
    assert.deepEqual([data.format, data.classes.length], ['masks', 11]);
    assert.deepEqual([data.train.samples.length, data.val?.samples.length], [367, 101]);
    const few = {
      ...data,
      train: { ...data.train, samples: data.train.samples.slice(0, 8) },
      val: undefined,
    };
    assert.deepEqual((await checkAnnotations(few, decoder)).report.findings, []);
  });
});
