import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FirstAnswer, FirstJob } from '../first-answer.ts';
import { createFolder, writeModels } from '../prepare.ts';
import { engineRows } from '../rows.ts';
import { type Timing, timingOf } from '../statistics.ts';
import { nodeOf } from './engines.ts';
import { failureLine, type Suite } from './suite.ts';

const program = fileURLToPath(new URL('../first-answer.js', import.meta.url));
const goalMilliseconds = 150;
const names = ['mobileone avx512', 'mobileone wasm-relaxed', 'mobileone wasm', 'onnxruntime-node'];

interface FirstRow {
  readonly engine: string;
  readonly total: Timing;
  readonly parts: Readonly<Record<keyof FirstAnswer, number>>;
}

function ask(node: string, job: FirstJob): FirstAnswer | string {
  const { status, stdout, stderr } = spawnSync(node, [program, JSON.stringify(job)], { encoding: 'utf8' });
  if (status !== 0) return failureLine(stderr);
  const answer: FirstAnswer = JSON.parse(stdout);
  return answer;
}

/** From nothing to the first logits of S0, in fresh processes; reading the weights is not counted. */
export const first: Suite = async ({ only, quick, rounds = quick ? 3 : 15, newerNode }) => {
  const chosen = engineRows.filter(
    ({ name }) => names.includes(name) && only.every((word) => name.includes(word)),
  );
  const answers = new Map<string, FirstAnswer[]>();
  const notes: string[] = [];
  const folder = await createFolder();
  try {
    await writeModels(folder.path, 's0', { quantized: false, tflite: false });
    const failed = new Set<string>();
    for (let round = 0; round < rounds; round++)
      for (const engine of chosen) {
        const row = { id: engine.name, engine, variant: 's0', batch: 1, threads: 1 } as const;
        const node = nodeOf(row, newerNode);
        if (failed.has(engine.name)) continue;
        const kind = engine.adapter === 'onnxruntimeNode' ? 'onnxruntime-node' : 'mobileone';
        const target = engine.options.target ?? '';
        const answer =
          node === undefined ? 'no Node 22 or newer' : ask(node, { kind, folder: folder.path, target });
        if (typeof answer === 'string') {
          failed.add(engine.name);
          notes.push(`${engine.name}: ${answer}`);
        } else answers.set(engine.name, [...(answers.get(engine.name) ?? []), answer]);
      }
  } finally {
    await folder.remove();
  }
  const data: readonly FirstRow[] = [...answers].map(([engine, all]) => {
    const median = (key: keyof FirstAnswer): number => timingOf(all.map((answer) => answer[key])).median;
    const parts = {
      import: median('import'),
      read: median('read'),
      compile: median('compile'),
      run: median('run'),
    };
    return { engine, parts, total: timingOf(all.map((a) => a.import + a.compile + a.run)) };
  });
  const columns = [
    'engine',
    'first answer ms',
    'p10',
    'p90',
    'import',
    'compile',
    'first run',
    'reading (not counted)',
  ];
  const rows = data.map(({ engine, total, parts }) => {
    const goal = engine.startsWith('mobileone')
      ? ` (${goalMilliseconds}${total.median <= goalMilliseconds ? '' : ', missed'})`
      : '';
    const cells = [total.p10, total.p90, parts.import, parts.compile, parts.run, parts.read];
    return [engine, `${total.median.toFixed(0)}${goal}`, ...cells.map((ms) => ms.toFixed(1))];
  });
  return { suite: 'first', columns, rows, data, notes };
};
