import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface RivalTurn {
  readonly losses: readonly number[];
  readonly seconds: readonly number[];
  /** Resident, at most so far. */
  readonly peakMegabytes: number;
}

/** Another engine with the same net, weights and batch, training in a process of its own. */
export interface Rival {
  readonly version: string;
  /** Trains so many steps more. */
  readonly steps: (count: number) => Promise<RivalTurn>;
  /** Once this resolves its process is gone and takes no time from others. */
  readonly close: () => Promise<void>;
}

/**
 * Starts a program that prints `{"version"}`, then for each number of steps it reads a `RivalTurn`, a line each.
 * @returns the reason where it cannot be started
 */
export async function startRival(command: string, args: readonly string[]): Promise<Rival | string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors: string[] = [];
  child.stderr.on('data', (data: Buffer) => errors.push(data.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const line = await Promise.race([lines.next(), ended(child)]);
    if (typeof line === 'string' || line.done)
      throw new Error(errors.join('').trim().split('\n').slice(-12).join('\n') || String(line));
    return JSON.parse(line.value);
  };
  try {
    const { version } = (await answer()) as { readonly version: string };
    return {
      version,
      steps: async (count) => {
        child.stdin.write(`${count}\n`);
        return (await answer()) as RivalTurn;
      },
      close: async () => {
        const end = ended(child);
        child.kill('SIGKILL');
        await end;
      },
    };
  } catch (error) {
    return `${command}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code) => resolve(`ended with ${code}`));
  });
}
