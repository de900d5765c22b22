import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { classificationMeter } from '../src/metrics/classification.ts';
import { confusionPlot } from '../src/report/heat-map.ts';
import { linePlot } from '../src/report/line-plot.ts';
import { element, text } from '../src/report/markup.ts';
import { createScale, domainOf, tickStep } from '../src/report/scale.ts';
import { reportFiles, writeReport } from '../src/report/write-report.ts';
import { sampleReport } from './support/sample-report.ts';

/** Every tag closed in order, by a plain reading; HTML's empty elements close themselves here too. */
function assertWellFormed(markup: string): void {
  const open: string[] = [];
  const withoutStyle = markup.replace(/<style>[^<]*<\/style>/g, '').replace(/^<!doctype html>/, '');
  for (const [tag, closing, name = '', , self] of withoutStyle.matchAll(
    /<(\/?)([a-z0-9]+)((?:\s+[a-zA-Z0-9-]+="[^"<>]*")*)\s*(\/?)>|<[^>]*>?/g,
  )) {
    assert.ok(name !== '', `not a tag: ${tag.slice(0, 80)}`);
    if (closing) assert.equal(open.pop(), name);
    else if (!self && !(name === 'meta')) open.push(name);
  }
  assert.deepEqual(open, []);
}

describe('markup', () => {
  test('text and attributes are escaped; numbers are short', () => {
    assert.equal(
      element('rect', { x: 1 / 3, id: '"<&>\'' }, []),
      '<rect x="0.33" id="&quot;&lt;&amp;&gt;&#39;"/>',
    );
    assert.equal(text('a\u0007<b>\n'), 'a &lt;b&gt;\n');
    assert.equal(element('td', {}), '<td></td>');
  });
});

describe('scales', () => {
  test('steps are 1, 2 or 5 times a power of ten', () => {
    assert.deepEqual(
      [tickStep(10, 5), tickStep(0.9, 4), tickStep(47, 10), tickStep(99, 5)].map((step) => +step.toFixed(9)),
      [2, 0.5, 5, 20],
    );
  });

  test('linear: domain ends at ticks, places are in proportion, numbers as long as needed', () => {
    assert.deepEqual(domainOf('linear', [0.23, 0.91, Number.NaN], 4), [0.2, 1]);
    const scale = createScale('linear', [0, 0.8], [100, 0], 4);
    assert.deepEqual(
      scale.ticks.map((tick) => +tick.toFixed(9)),
      [0, 0.2, 0.4, 0.6, 0.8],
    );
    assert.ok(Math.abs(scale.place(0.2) - 75) < 1e-9);
    assert.deepEqual(scale.ticks.map(scale.format), ['0', '0.2', '0.4', '0.6', '0.8']);
    const small = createScale('linear', [0, 4e-4], [0, 1], 4);
    assert.deepEqual(small.ticks.map(small.format), ['0', '1e-4', '2e-4', '3e-4', '4e-4']);
    const large = createScale('linear', [0, 40_000], [0, 1], 4);
    assert.deepEqual(large.ticks.map(large.format), ['0', '10k', '20k', '30k', '40k']);
  });

  test('logarithmic: powers of ten, equal steps for equal ratios', () => {
    const scale = createScale('log', [1e-4, 1], [0, 400], 5);
    assert.deepEqual(scale.ticks.map(scale.format), ['1e-4', '0.001', '0.01', '0.1', '1']);
    assert.ok(Math.abs(scale.place(0.01) - 200) < 1e-9);
  });

  test('a domain of one value, of zeros, of nothing', () => {
    assert.deepEqual(domainOf('linear', [2], 4), [1, 3]);
    assert.deepEqual(domainOf('linear', [0, 0], 4), [0, 1]);
    assert.deepEqual(domainOf('linear', [], 4), [0, 1]);
    assert.deepEqual(domainOf('log', [0, -1, 3], 4), [1.5, 6]);
  });
});

describe('plots', () => {
  test('a line breaks where there is no number, and lies where its values are', () => {
    const svg = linePlot({
      title: 'T',
      xLabel: 'epoch',
      yDomain: [0, 4],
      series: [
        {
          name: 'a',
          points: [
            [0, 0],
            [1, 4],
            [2, null],
            [3, 2],
            [4, Number.NaN],
          ],
        },
      ],
    });
    assertWellFormed(svg);
    // The frame spans x 58–502 and y 62–256.
    assert.deepEqual(svg.match(/points="[^"]*"/g), ['points="58.0,256.0 169.0,62.0"']);
    assert.match(svg, /<circle cx="391" cy="159"/);
  });

  test('ten thousand points make a small drawing that keeps their mean', () => {
    const points = Array.from({ length: 10_000 }, (_, i) => [i, i % 2] as const);
    const svg = linePlot({ title: 'T', xLabel: 'step', yDomain: [0, 1], series: [{ name: 'a', points }] });
    assert.ok(svg.length < 12_000);
    const ys = [...(svg.match(/points="([^"]*)"/)?.[1] ?? '').matchAll(/,(\S+)/g)].map(([, y]) => Number(y));
    assert.equal(ys.length, 500);
    assert.ok(ys.every((y) => Math.abs(y - 159) < 0.1));
  });

  test('no series, no points: an empty frame', () => {
    assertWellFormed(linePlot({ title: 'T', xLabel: 'x', series: [] }));
    assertWellFormed(
      linePlot({ title: 'T', xLabel: 'x', series: [{ name: 'a', points: [] }], yScale: 'log' }),
    );
  });

  test('a thousand classes: only cells that count are drawn', () => {
    const matrix = Array.from({ length: 1000 }, (_, i) =>
      Array.from({ length: 1000 }, (_, j) => (i === j ? 9 : i === j + 3 ? 1 : 0)),
    );
    const svg = confusionPlot({ title: 'T', matrix, classNames: [] });
    assert.equal(svg.match(/<rect/g)?.length, 3 + 1997);
    assert.ok(Number(svg.match(/viewBox="0 0 (\d+)/)?.[1]) < 800);
  });
});

describe('report', () => {
  test('one file with everything inside, no script, and the plots as files', async () => {
    const files = await reportFiles(sampleReport());
    assert.deepEqual(
      [...files.keys()],
      [
        'plots/loss.svg',
        'plots/accuracy.svg',
        'plots/learning-rate.svg',
        'plots/speed.svg',
        'plots/classes.svg',
        'plots/confusion.svg',
        'plots/augmented-batch.svg',
        'plots/worst-mistakes.svg',
        'report.html',
      ],
    );
    for (const content of files.values()) assertWellFormed(content);
    const page = files.get('report.html') ?? '';
    assert.equal(page.match(/<svg /g)?.length, 6);
    assert.equal(page.match(/<img /g)?.length, 5);
    assert.doesNotMatch(page, /<script|<link|(?:src|href)="(?!data:)|url\(/);
    for (const words of [
      'MobileOne &lt;b&gt;',
      'square taken for ring',
      '66.7%',
      '1,234',
      '0.52',
      '&quot;seed&quot;: 1',
    ])
      assert.ok(page.includes(words), words);
  });

  test('a run that has just begun: what is not known yet is left out', async () => {
    const files = await reportFiles({
      title: 'run',
      status: 'epoch 1 of 3',
      history: [{ epoch: 1, trainLoss: 2.1, loss: null }],
    });
    assert.deepEqual([...files.keys()], ['plots/loss.svg', 'report.html']);
    assert.doesNotMatch(files.get('report.html') ?? '', /Evaluation|undefined|NaN|null/);
    const empty = await reportFiles({
      title: 'run',
      evaluation: { metrics: classificationMeter(3).result(), classNames: [] },
    });
    assertWellFormed(empty.get('report.html') ?? '');
    assert.doesNotMatch(empty.get('report.html') ?? '', /undefined|NaN/);
  });

  test('the page is written last', async () => {
    const written: string[] = [];
    const store = { write: async (name: string) => void written.push(name) };
    assert.deepEqual(await writeReport(store, sampleReport()), written);
    assert.equal(written.at(-1), 'report.html');
  });
});
