import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelFiles } from '../adapters/adapter.ts';
import type { MemoryJob, MemoryUse } from '../memory-use.ts';
import { createFolder, writeModels } from '../prepare.ts';
import { engineRows } from '../rows.ts';
import { nodeOf } from './engines.ts';
import { failureLine, type Suite } from './suite.ts';

const program = fileURLToPath(new URL('../memory-use.js', import.meta.url));
const names = ['mobileone avx512', 'mobileone wasm-relaxed', 'mobileone wasm', 'onnxruntime-node'];
/** Beyond the weights, which an engine holds packed. */
const allowedBytes = 8e6;
/** What garbage and thread stacks may move from one tenth to the last. */
const flatBytes = 4e6;

interface MemoryRow {
  readonly engine: string;
  readonly threads: number;
  readonly use: MemoryUse;
}

function ask(node: string, job: MemoryJob): MemoryUse | string {
  const child = spawnSync(node, ['--expose-gc', program, JSON.stringify(job)], { encoding: 'utf8' });
  if (child.status !== 0) return child.signal ?? failureLine(child.stderr);
  const use: MemoryUse = JSON.parse(child.stdout);
  return use;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Growth from the second tenth, when everything has been touched, to the last. */
const growth = (marks: readonly number[]): number => (marks.at(-1) ?? 0) - (marks[1] ?? 0);

function cells({ engine, threads, use }: MemoryRow, weightBytes: number): readonly string[] {
  const peak = use.peak - use.before;
  const goal = weightBytes + allowedBytes;
  const mine = engine.startsWith('mobileone');
  const verdict = mine ? ` (${megabytes(goal)}${peak <= goal ? '' : ', missed'})` : '';
  const flat = (marks: readonly number[]): string =>
    `${megabytes(growth(marks))}${mine && growth(marks) > flatBytes ? ' (grows)' : ''}`;
  const stated = use.stated === undefined ? '' : megabytes(use.stated);
  const numbers = [megabytes(use.before), `${megabytes(peak)}${verdict}`, stated];
  return [engine, String(threads), ...numbers, flat(use.afterRuns), flat(use.afterCycles)];
}

/** Peak of S0 at batch 1 over what is resident before compiling, and whether runs and cycles leave it flat. */
export const memory: Suite = async ({ only, quick, newerNode }) => {
  const data: MemoryRow[] = [];
  const notes: string[] = [];
  const [runs, cycles] = quick ? [20, 10] : [1000, 100];
  const folder = await createFolder();
  let weightBytes = 0;
  try {
    await writeModels(folder.path, 's0', { quantized: false, tflite: false });
    weightBytes = statSync(join(folder.path, modelFiles.weights('s0'))).size;
    for (const engine of engineRows)
      for (const threads of [1, 2]) {
        const id = `${engine.name} ${threads} thread${threads > 1 ? 's' : ''}`;
        if (!names.includes(engine.name) || !only.every((word) => id.includes(word))) continue;
        const node = nodeOf({ id, engine, variant: 's0', batch: 1, threads }, newerNode);
        const kind = engine.adapter === 'onnxruntimeNode' ? 'onnxruntime-node' : 'mobileone';
        const job = {
          kind,
          folder: folder.path,
          target: engine.options.target ?? '',
          threads,
          runs,
          cycles,
        } as const;
        const use = node === undefined ? 'no Node 22 or newer' : ask(node, job);
        if (typeof use === 'string') notes.push(`${id}: ${use}`);
        else data.push({ engine: engine.name, threads, use });
      }
  } finally {
    await folder.remove();
  }
  notes.push(`weights ${megabytes(weightBytes)} MB; ${runs} runs, ${cycles} cycles of compile, run, dispose`);
  return {
    suite: 'memory',
    columns: [
      'engine',
      'threads',
      'before MB',
      'peak over it',
      'stated',
      `growth in ${runs} runs`,
      `in ${cycles} cycles`,
    ],
    rows: data.map((row) => cells(row, weightBytes)),
    data,
    notes,
  };
};
