import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface TorchTurn {
  readonly losses: readonly number[];
  readonly seconds: readonly number[];
  /** Resident, at most so far. */
  readonly peakMegabytes: number;
}

export interface TorchRival {
  readonly version: string;
  /** Trains so many steps more. */
  readonly steps: (count: number) => Promise<TorchTurn>;
  readonly close: () => void;
}

/** Debian's interpreter has `python3-torch`, also where another one comes first on the path. */
const python = process.env.PYTHON ?? '/usr/bin/python3';
const script = fileURLToPath(new URL('../../../bench/training/rival.py', import.meta.url));

/** @returns the reason where PyTorch is not to be had */
export async function startTorch(
  spec: string,
  weights: string,
  threads: number,
  bf16: boolean,
): Promise<TorchRival | string> {
  const child = spawn(python, [script, spec, weights, String(threads), ...(bf16 ? ['bf16'] : [])], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  child.stderr.on('data', (data: Buffer) => errors.push(data.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const line = await Promise.race([lines.next(), ended(child)]);
    if (typeof line === 'string' || line.done) throw new Error(errors.join('').trim().split('\n').at(-1));
    return JSON.parse(line.value);
  };
  try {
    const hello = (await answer()) as { readonly torch: string };
    return {
      version: hello.torch,
      steps: async (count) => {
        child.stdin.write(`${count}\n`);
        return (await answer()) as TorchTurn;
      },
      close: () => void child.stdin.end(),
    };
  } catch (error) {
    return `${python}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve('ended'));
  });
}
