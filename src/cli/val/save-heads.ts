import type { ImageDecoder } from '../../image/codec.ts';
import type { PictureSheet, RunReport } from '../../report/run-report.ts';
import { type ReportStore, writeReport } from '../../report/write-report.ts';
import { detectionSheets } from '../../training/task/detect-report.ts';
import { answerSheet } from '../../training/task/segment-report.ts';
import { percent } from '../text/numbers.ts';
import { type HeadVerdict, headJson } from './head-verdict.ts';

/** Writes `metrics.json`, plots and `report.html`. @returns the names of the files */
export async function saveHeadVerdict(
  store: ReportStore,
  verdict: HeadVerdict,
  decoder: ImageDecoder,
): Promise<readonly string[]> {
  await store.write('metrics.json', `${headJson(verdict)}\n`);
  const { model, dataset, engine, location, naming, evaluation } = verdict;
  const { forms, count, seconds, waitShare } = evaluation;
  const report: RunReport = {
    title: `${model} on ${dataset.name}`,
    status: `evaluated in ${forms.map(({ form }) => form).join(' and ')} form`,
    ...(await judgedParts(verdict, decoder)),
    speed: [
      ['pictures a second, with reading them', (count / Math.max(1e-9, seconds)).toFixed(1)],
      ['share of the time waiting for pictures', percent(waitShare)],
      ['engine', engine],
    ],
    config: { model, weights: location, data: dataset.name, naming },
  };
  return ['metrics.json', ...(await writeReport(store, report))];
}

async function judgedParts(
  verdict: HeadVerdict,
  decoder: ImageDecoder,
): Promise<Pick<RunReport, 'headline' | 'boxes' | 'pixels' | 'sheets'>> {
  const { dataset, evaluation } = verdict;
  const pictures = ['pictures', String(evaluation.count)] as const;
  const form = evaluation.forms.at(-1)?.form;
  if (verdict.task === 'detect') {
    const result = verdict.evaluation.forms.at(-1)?.result;
    if (!result) return {};
    const { AP, AP50, AP75 } = result.stats;
    return {
      headline: [['mAP', percent(AP)], ['mAP50', percent(AP50)], ['mAP75', percent(AP75)], pictures],
      boxes: { ...result, note: `${form} form; COCO's protocol` },
      sheets: await detectionSheets(result, dataset, decoder),
    };
  }
  const result = verdict.evaluation.forms.at(-1)?.result;
  if (!result) return {};
  const labels = dataset.classes;
  const findings = { data: { validation: dataset }, decoder };
  const note = 'Picture, truth, answer; the lowest mean IoU first.';
  const sheets: readonly PictureSheet[] = await answerSheet(
    'Worst pictures',
    note,
    result.worst,
    { labels },
    findings,
  );
  return {
    headline: [
      ['mIoU', percent(result.meanIou)],
      ['pixel accuracy', percent(result.pixelAccuracy)],
      pictures,
    ],
    pixels: { scores: result, confusion: result.confusion, classNames: labels, note: `${form} form` },
    sheets,
  };
}
