import { fileURLToPath } from 'node:url';
import { type Rival, startRival } from './rival-process.ts';

/** Debian's interpreter has `python3-torch`, also where another one comes first on the path. */
const python = process.env.PYTHON ?? '/usr/bin/python3';
const script = fileURLToPath(new URL('../../../bench/training/rival.py', import.meta.url));

/** @returns the reason where PyTorch is not to be had */
export function startTorch(
  spec: string,
  weights: string,
  threads: number,
  bf16: boolean,
): Promise<Rival | string> {
  return startRival(python, [script, spec, weights, String(threads), ...(bf16 ? ['bf16'] : [])]);
}
