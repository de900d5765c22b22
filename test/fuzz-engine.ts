/**
 * `npm run test:fuzz -- [--seconds N] [--seed N] [--only SCENARIO] [--case N]`: random misuse of the public API in
 * child processes, with native code and without. Only typed errors may come out, right graphs must give right
 * answers, and no child may die. Prints what was tried; a fault is printed with the command that repeats it.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { scenarios } from './fuzz/scenarios.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    case: { type: 'string' },
  },
});
const childFile = fileURLToPath(new URL('./fuzz/child.js', import.meta.url));
/** A child that is this late hangs. */
const stuckMilliseconds = 60_000;
/** After so many faults, a scenario is broken rather than unlucky. */
const mostFaults = 5;

interface Slice {
  readonly scenario: string;
  readonly native: boolean;
  readonly first: number;
  readonly seconds: number;
  readonly cases: number;
}

interface Counts {
  readonly answered: number;
  readonly refused: number;
}

interface Fault {
  readonly seed: number;
  readonly reason: string;
}

const childArguments = ({ scenario, first, seconds, cases }: Slice): readonly string[] =>
  [scenario, first, seconds, cases].map(String);

/** Runs cases until one goes wrong or the time is up. */
async function runChild(slice: Slice, folder: string): Promise<Counts | Fault> {
  const progress = join(folder, 'case');
  await writeFile(progress, String(slice.first));
  const env = { ...process.env, MOBILEONE_NATIVE: slice.native ? '1' : '0' };
  const child = spawn(process.execPath, [childFile, ...childArguments(slice), progress], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors, stuck] = ['', '', false];
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const timer = setTimeout(
    () => {
      stuck = true;
      child.kill('SIGKILL');
    },
    1000 * slice.seconds + stuckMilliseconds,
  );
  const [code, signal] = await new Promise<readonly [number | null, string | null]>((resolve) => {
    child.once('close', (...how) => resolve(how));
  });
  clearTimeout(timer);
  if (code === 0 && output.startsWith('{')) {
    const counts: Counts = JSON.parse(output);
    return counts;
  }
  const how = stuck ? 'hung' : signal ? `died of ${signal}` : `ended with code ${code}`;
  return { seed: Number(await readFile(progress, 'utf8')), reason: `${how}\n${errors.trim()}` };
}

/** A scenario's share of the time; goes on behind a case that went wrong. */
async function runScenario(
  whole: Slice,
  folder: string,
): Promise<Counts & { readonly faults: readonly Fault[] }> {
  const faults: Fault[] = [];
  let [answered, refused] = [0, 0];
  let slice = whole;
  const end = performance.now() + 1000 * whole.seconds;
  for (;;) {
    const result = await runChild(slice, folder);
    if (!('seed' in result)) {
      answered += result.answered;
      refused += result.refused;
      break;
    }
    faults.push(result);
    // How many went well before the fault is known, not how many of them were refusals.
    answered += result.seed - slice.first;
    const seconds = (end - performance.now()) / 1000;
    if (slice.cases === 1 || seconds <= 0 || faults.length === mostFaults) break;
    slice = { ...slice, first: result.seed + 1, seconds };
  }
  return { answered, refused, faults };
}

const chosen = [...scenarios].filter(([name]) => values.only === undefined || name === values.only);
if (chosen.length === 0) {
  console.error(`--only must be one of ${[...scenarios.keys()].join(', ')}; found "${values.only}".`);
  process.exit(2);
}
const single = values.case === undefined ? undefined : Number(values.case);
const share = chosen.reduce((sum, [, { weight = 1 }]) => sum + weight, 0);
const totals = { answered: 0, refused: 0, faults: 0 };
const folder = await mkdtemp(join(tmpdir(), 'mobileone-fuzz-'));
for (const [scenario, { weight = 1 }] of chosen)
  for (const native of [true, false]) {
    const slice: Slice = {
      scenario,
      native,
      first: single ?? Number(values.seed) * 1_000_000,
      seconds: (Number(values.seconds) * weight) / share / 2,
      cases: single === undefined ? Number.POSITIVE_INFINITY : 1,
    };
    const { answered, refused, faults } = await runScenario(slice, folder);
    totals.answered += answered;
    totals.refused += refused;
    totals.faults += faults.length;
    const cases = String(answered + refused + faults.length).padStart(7);
    const outcome = `${answered} answered, ${refused} refused${faults.length > 0 ? `, ${faults.length} FAULTS` : ''}`;
    console.log(`${scenario.padEnd(20)} ${native ? 'native' : 'wasm  '} ${cases} cases: ${outcome}`);
    for (const { seed, reason } of faults) {
      const command = `${native ? '' : 'MOBILEONE_NATIVE=0 '}node dist/test/fuzz/child.js ${scenario} ${seed} 60 1`;
      console.log(`  case ${seed}: ${reason.replaceAll('\n', '\n    ')}\n    again: ${command}`);
    }
  }
await rm(folder, { recursive: true });
const cases = totals.answered + totals.refused + totals.faults;
console.log(
  `${cases} cases: ${totals.answered} answered, ${totals.refused} refused with an error, ${totals.faults} faults`,
);
process.exit(totals.faults > 0 || cases === 0 ? 1 : 0);
