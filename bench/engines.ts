/**
 * `npm run bench:engines -- [--suite engines|busy|first|memory|pages] [--quick] [--only PARTS] [--rounds N] [--no-peak]`:
 * our engine and its rivals, each in its own process, checked first and timed in turns. Prints a table and writes
 * bench/results/<suite>-<date>.json and .md. The machine should do nothing else meanwhile.
 */
import { parseArgs } from 'node:util';
import { newerNodes } from '../test/support/node-binaries.ts';
import { describeMachine } from './machine.ts';
import { measurePeaks } from './peak.ts';
import { machineLines, printReport, writeReport } from './report.ts';
import { busy } from './suites/busy.ts';
import { engines } from './suites/engines.ts';
import { first } from './suites/first.ts';
import { memory } from './suites/memory.ts';
import { pages } from './suites/pages.ts';
import type { Suite } from './suites/suite.ts';

const suites: ReadonlyMap<string, Suite> = new Map(Object.entries({ engines, busy, first, memory, pages }));

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'engines' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    'no-peak': { type: 'boolean', default: false },
  },
});
const suite = suites.get(values.suite);
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (suite === undefined || (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))) {
  console.error(
    `--suite must be one of ${[...suites.keys()].join(', ')} and --rounds a positive integer; found "${values.suite}" and "${values.rounds ?? ''}".`,
  );
  process.exit(2);
}
const newerNode = newerNodes().at(-1);
const machine = describeMachine(newerNode?.version);
if (machine.load > 0.5)
  console.error(`The load is ${machine.load}: what is measured now is shared with something else.`);
const peaks = values['no-peak'] ? {} : await measurePeaks();
const only = values.only
  .split(',')
  .map((part) => part.trim())
  .filter((part) => part !== '');
const report = await suite({ quick: values.quick, only, rounds, newerNode, peaks });
const head = machineLines(machine, peaks);
printReport(report, head);
console.log(`written to ${await writeReport(report, machine, head)}.{json,md}`);
process.exit(0);
