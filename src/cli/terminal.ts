/** Where a command writes and how: answers to stdout, everything about the run to stderr. */
export interface Terminal {
  /** Columns of stdout; infinite when it is no terminal. */
  readonly width: number;
  /** Colours and bars: stdout is a terminal and NO_COLOR is not set. */
  readonly fancy: boolean;
  /** Whether progress can be drawn on stderr. */
  readonly drawsProgress: boolean;
  /** Columns of stderr, 80 when it is no terminal. */
  readonly progressWidth: number;
  print(...lines: readonly string[]): void;
  note(...lines: readonly string[]): void;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
}

type Style = (text: string) => string;

/** `COLUMNS` counts where stdout is no terminal, so that a pager or a test can say how wide it is. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const plain = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  const fancy = stdout.isTTY === true && !plain;
  const style =
    (on: number, off: number): Style =>
    (text) =>
      fancy ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    width: Math.max(20, stdout.columns ?? positive(env.COLUMNS) ?? Number.POSITIVE_INFINITY),
    fancy,
    drawsProgress: stderr.isTTY === true && !plain,
    progressWidth: Math.max(20, stderr.columns ?? 80),
    print: (...lines) => {
      stdout.write(`${lines.join('\n')}\n`);
    },
    note: (...lines) => {
      stderr.write(`${lines.join('\n')}\n`);
    },
    bold: style(1, 22),
    dim: style(2, 22),
  };
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
