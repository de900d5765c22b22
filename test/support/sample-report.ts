import { proceduralSet } from '../../src/data/procedural/procedural-set.ts';
import { classificationMeter } from '../../src/metrics/classification.ts';
import type { RunReport } from '../../src/report/run-report.ts';

/** A small report with every section; one class name that would be markup. */
export function sampleReport(): RunReport {
  const set = proceduralSet({
    count: 6,
    seed: 2,
    width: 24,
    height: 24,
    kinds: ['circle', 'square', 'ring'],
  });
  const classNames = ['circle', 'square', 'ring'];
  const meter = classificationMeter(3);
  const answers = [
    [0, 0.8, 0.1, 0.1],
    [0, 0.4, 0.3, 0.3],
    [0, 0.2, 0.5, 0.3],
    [1, 0.1, 0.8, 0.1],
    [1, 0.05, 0.05, 0.9],
    [2, 0.1, 0.2, 0.7],
  ] as const;
  for (const [label, ...probabilities] of answers) meter.add(probabilities, label);
  const image = (index: number) => set.scene(index).image;
  return {
    title: 'MobileOne <b>',
    status: 'finished',
    headline: [['top-1', '66.7%']],
    history: [
      {
        epoch: 1,
        trainLoss: 2,
        loss: 2.2,
        trainTop1: 0.2,
        top1: 0.3,
        top5: 1,
        rate: 0.1,
        size: 24,
        imagesPerSecond: 90,
      },
      {
        epoch: 2,
        trainLoss: 1,
        loss: 1.3,
        trainTop1: 0.6,
        top1: 0.6,
        top5: 1,
        rate: 0.05,
        size: 24,
        imagesPerSecond: 95,
      },
    ],
    bestEpoch: 2,
    evaluation: { metrics: meter.result(), classNames, note: 'deploy form' },
    mistakes: [
      {
        image: image(1),
        name: 'val/square/1.png',
        truth: 1,
        predicted: 2,
        probability: 0.9,
        truthProbability: 0.05,
      },
    ],
    sheets: [
      {
        title: 'Augmented batch',
        pictures: [0, 1, 2, 3].map((i) => ({ image: image(i), caption: [classNames[i % 3] ?? ''] })),
      },
    ],
    model: {
      facts: [['input', '24 × 24 RGB']],
      forms: [
        { form: 'train', parameters: 4321, macs: 2e6, milliseconds: 0.52 },
        { form: 'deploy', parameters: 1234, macs: 1e6, milliseconds: 0.21 },
      ],
    },
    speed: [['pictures a second', '95']],
    config: { seed: 1 },
  };
}
