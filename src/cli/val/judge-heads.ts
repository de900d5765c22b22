import { renameClasses } from '../../data/annotations/rename-classes.ts';
import { createLoader } from '../../data/loader/loader.ts';
import { UsageError } from '../../errors.ts';
import type { AbsentClass } from '../../metrics/segmentation/confusion.ts';
import type { Form } from '../../model/block.ts';
import { createNodeDecoder } from '../../platform/node/image-decoder.ts';
import { createNodePool } from '../../platform/node/loader-workers.ts';
import { evaluateDetector } from '../../task/evaluate-detector.ts';
import { evaluateSegmenter } from '../../task/evaluate-segmenter.ts';
import type { NamedHeadNet } from '../../task/head-checkpoint.ts';
import { exactSize } from '../../task/head-net.ts';
import { matchClasses } from '../../task/match-classes.ts';
import { truthOf } from '../../training/batches/truth-of.ts';
import { truthsOf } from '../../training/task/detect-task.ts';
import { countBar } from '../count-bar.ts';
import { chooseEngine, type EngineFlags } from '../engine-options.ts';
import type { Terminal } from '../terminal.ts';
import type { HeadVerdict, Judged } from './head-verdict.ts';
import { type AnnotatedFlags, openAnnotatedPart } from './open-annotated.ts';

export interface HeadValFlags extends EngineFlags, AnnotatedFlags {
  readonly form: Form | 'both';
  readonly batch: number;
  readonly workers?: number;
  readonly absent?: AbsentClass;
}

/** How many pictures are kept to be shown: the worst, and the first. */
const shown = 8;

/** Judges a net with a head by annotated pictures. @throws DataError, UsageError */
export async function judgeHead(
  net: NamedHeadNet,
  location: string,
  path: string,
  flags: HeadValFlags,
  terminal: Terminal,
): Promise<HeadVerdict> {
  const decoder = await createNodeDecoder();
  const part = await openAnnotatedPart(path, net.head.task, flags, decoder, terminal);
  const known = { count: net.labels.length, labels: net.labels, imagenet: false };
  const { naming, indices } = matchClasses(path, part.dataset.classes, known);
  const dataset = renameClasses(part.dataset, net.labels, indices);
  const [engine, compile] = await chooseEngine(flags);
  const batch = Math.min(flags.batch, dataset.samples.length);
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new UsageError('interrupted.', { interrupted: true }));
  const pool = await createNodePool(flags.workers === undefined ? {} : { workers: flags.workers });
  const pictures = { kind: 'eval', transform: net.transform } as const;
  const loader = createLoader(dataset, pool, { batchSize: batch, pictures, signal: interrupt.signal });
  const bar = countBar(terminal, 'pictures', dataset.samples.length);
  process.once('SIGINT', onInterrupt);
  try {
    const judged = await judge(net, dataset, loader.epoch(0), {
      ...{ engine, compile, batch, worst: shown, onProgress: bar.show, signal: interrupt.signal },
      forms: flags.form === 'both' ? (['train', 'deploy'] as const) : [flags.form],
      absent: flags.absent ?? 'skip',
    });
    const { broken } = loader.stats();
    const about = { model: net.name, location, engine: engine.name, naming, broken };
    return { ...about, ...judged, dataset, report: part.report, size: exactSize(net.transform) };
  } finally {
    bar.end();
    process.off('SIGINT', onInterrupt);
    await pool.close();
  }
}

type Options = Omit<Parameters<typeof evaluateSegmenter>[2], 'truthOf'>;

async function judge(
  net: NamedHeadNet,
  dataset: HeadVerdict['dataset'],
  batches: Parameters<typeof evaluateDetector>[1],
  options: Options,
): Promise<Judged> {
  const { head } = net;
  if (head.task === 'detect') {
    const boxesOf = (index: number) => truthsOf(dataset, index);
    const detecting = { ...options, truthOf: boxesOf, examples: shown };
    return { task: 'detect', evaluation: await evaluateDetector({ ...net, head }, batches, detecting) };
  }
  const masksOf = (index: number) => truthOf({ validation: dataset }, index);
  return {
    task: 'segment',
    evaluation: await evaluateSegmenter({ ...net, head }, batches, { ...options, truthOf: masksOf }),
  };
}
