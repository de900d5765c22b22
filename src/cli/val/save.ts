import { MobileOneError } from '../../errors.ts';
import type { ImageDecoder } from '../../image/codec.ts';
import type { Mistake, RunReport } from '../../report/run-report.ts';
import { type ReportStore, writeReport } from '../../report/write-report.ts';
import { percent } from '../text/numbers.ts';
import { toJson, type Verdict } from './describe.ts';

/** Writes `metrics.json`, plots and `report.html`. @returns the names of the files */
export async function saveVerdict(
  store: ReportStore,
  verdict: Verdict,
  decoder: ImageDecoder,
): Promise<readonly string[]> {
  await store.write('metrics.json', `${toJson(verdict)}\n`);
  return ['metrics.json', ...(await writeReport(store, await verdictReport(verdict, decoder)))];
}

async function verdictReport(verdict: Verdict, decoder: ImageDecoder): Promise<RunReport> {
  const { evaluation, labels, dataset, model, engine, location } = verdict;
  const shown = evaluation.forms.at(-1);
  const share = (value: number | null | undefined): string =>
    typeof value === 'number' ? percent(value) : '–';
  return {
    title: `${model} on ${dataset.name}`,
    status: `evaluated in ${evaluation.forms.map(({ form }) => form).join(' and ')} form`,
    headline: [
      ['top-1', share(shown?.metrics.top1)],
      ['top-5', share(shown?.metrics.top5)],
      ['mean class recall', share(shown?.metrics.macro.recall)],
      ['pictures', String(shown?.metrics.count ?? 0)],
    ],
    ...(shown
      ? {
          evaluation: { metrics: shown.metrics, classNames: labels, note: `${shown.form} form` },
          mistakes: await openMistakes(shown.mistakes, verdict, decoder),
        }
      : {}),
    speed: [
      [
        'pictures a second, with reading them',
        ((shown?.metrics.count ?? 0) / Math.max(1e-9, evaluation.seconds)).toFixed(1),
      ],
      ['share of the time waiting for pictures', percent(evaluation.waitShare)],
      ['engine', engine],
    ],
    config: { model, weights: location, data: dataset.name, naming: verdict.naming },
  };
}

/** Pictures that cannot be read a second time are left out. */
async function openMistakes(
  mistakes: Verdict['evaluation']['forms'][number]['mistakes'],
  { dataset }: Verdict,
  decoder: ImageDecoder,
): Promise<readonly Mistake[]> {
  const opened = mistakes.map(async ({ index, ...rest }): Promise<readonly Mistake[]> => {
    const path = dataset.samples[index]?.path;
    if (path === undefined) return [];
    try {
      const image = await decoder.decode(await dataset.files.read(path), { name: path, shortSide: 256 });
      return [{ image, name: path, ...rest }];
    } catch (error) {
      if (error instanceof MobileOneError) return [];
      throw error;
    }
  });
  return (await Promise.all(opened)).flat();
}
