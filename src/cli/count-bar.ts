import { SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.ts';

/** Progress of something counted. */
export interface CountBar {
  readonly show: (done: number) => void;
  readonly end: () => void;
}

/** A bar with a rate and the time left on stderr; nothing where no bar can be drawn. */
export function countBar(terminal: Terminal, what: string, total: number): CountBar {
  if (!terminal.drawsProgress) return { show: () => {}, end: () => {} };
  const words = `{bar} {value}/{total} ${what}, {eta_formatted} left`;
  const bar = new SingleBar({
    format: words,
    barsize: Math.max(4, Math.min(40, terminal.progressWidth - 34 - what.length)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(total, 0);
  return { show: (done) => bar.update(done), end: () => bar.stop() };
}
