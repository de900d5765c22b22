/**
 * `node child.js SCENARIO FIRST_CASE SECONDS CASES [FILE]`, started by fuzz-engine.ts: cases one after the other; the
 * number of each is put into FILE before it runs, so that it is known when it ends this process.
 */
import { openSync, writeSync } from 'node:fs';
import { nodeCpuEngine } from '../../src/platform/node/cpu-engine.ts';
import { createRandom } from '../../src/tensor/random.ts';
import type { Verdict } from './scenario.ts';
import { scenarios } from './scenarios.ts';

const [name = '', first = '0', seconds = '1', most = 'Infinity', file = '/dev/null'] = process.argv.slice(2);
const scenario = scenarios.get(name);
if (scenario === undefined) throw new RangeError(`no scenario "${name}"`);
const progress = openSync(file, 'w');
const engine = await nodeCpuEngine();
const counts: Record<Verdict, number> = { answered: 0, refused: 0 };
const end = performance.now() + 1000 * Number(seconds);
for (let i = 0; i < Number(most) && performance.now() < end; i++) {
  const seed = Number(first) + i;
  writeSync(progress, String(seed).padEnd(20), 0);
  counts[await scenario.run({ random: createRandom(seed), engine })]++;
}
console.log(JSON.stringify(counts));
process.exit(0);
