import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { HubError } from '../errors.ts';
import type { Licence } from '../hub/licences.ts';
import type { ModelEntry } from '../hub/models.ts';
import { type ResolvedWeights, type ResolveOptions, resolveWeights } from '../hub/resolve.ts';
import type { DownloadProgress } from '../hub/transfer.ts';
import { nodePlatform } from '../node.ts';
import type { Terminal } from './terminal.ts';
import { wrap } from './text/layout.ts';
import { byteSize } from './text/numbers.ts';

export interface HubFlags {
  readonly mirror?: string;
  readonly offline?: boolean;
}

export function addHubOptions(command: Command): Command {
  return command
    .option('--mirror <address>', 'folder address to fetch weights from first (MOBILEONE_MIRROR)')
    .option('--offline', 'never touch the network (MOBILEONE_OFFLINE=1)');
}

/** The machine's settings with a command's flags over them. */
export function hubOptions({ mirror, offline }: HubFlags): ResolveOptions {
  return {
    ...nodePlatform().hub,
    ...(mirror === undefined ? {} : { mirror }),
    ...(offline === true ? { offline } : {}),
  };
}

/**
 * Weights on this machine, downloaded first when they have to be: licence notice, progress, and Ctrl-C stops it with
 * the cache in order.
 * @throws HubError; one whose details say `interrupted` after Ctrl-C
 */
export async function fetchWeights(
  nameOrPath: string,
  hub: ResolveOptions,
  terminal: Terminal,
): Promise<ResolvedWeights> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new HubError('interrupted.', { interrupted: true }));
  const progress = terminal.drawsProgress ? progressBar(terminal.progressWidth) : undefined;
  process.once('SIGINT', onInterrupt);
  try {
    return await resolveWeights(nameOrPath, {
      ...hub,
      signal: interrupt.signal,
      onNotice: (licence, entry) => terminal.note(...notice(licence, entry, terminal.progressWidth)),
      ...(progress ? { onProgress: progress.show } : {}),
    });
  } finally {
    progress?.end();
    process.off('SIGINT', onInterrupt);
  }
}

function notice(licence: Licence, entry: ModelEntry, width: number): readonly string[] {
  return [
    ...wrap(`Fetching ${entry.name}: ${licence.title}`, width, 2),
    ...wrap(`${licence.notice} ${licence.url}`, width - 2).map((line) => `  ${line}`),
  ];
}

function progressBar(width: number): { show: (progress: DownloadProgress) => void; end: () => void } {
  let bar: SingleBar | undefined;
  const show = ({ received, total }: DownloadProgress): void => {
    const counts = {
      done: byteSize(received),
      whole: total === undefined ? 'unknown size' : byteSize(total),
    };
    if (bar === undefined) {
      bar = new SingleBar({
        format: total === undefined ? '{done}' : '{bar} {percentage}% of {whole}',
        barsize: Math.max(4, Math.min(40, width - 22)),
        barCompleteChar: '█',
        barIncompleteChar: '░',
        hideCursor: true,
        clearOnComplete: true,
        stream: process.stderr,
      });
      bar.start(total ?? received, received, counts);
    }
    bar.setTotal(total ?? received);
    bar.update(received, counts);
  };
  return { show, end: () => bar?.stop() };
}
