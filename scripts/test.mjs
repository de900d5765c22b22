// Runs every compiled test (dist/**/*.test.js), or those whose path contains one of the arguments, and ends
// with one line that counts them. `--platforms`: the slower suites of dist/**/*.platform.js instead.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const platforms = process.argv.includes('--platforms');
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const files = readdirSync(dist, { recursive: true })
  .filter((name) => name.endsWith(platforms ? '.platform.js' : '.test.js'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
  .map((name) => join(dist, name));

const count = { passed: 0, failed: 0, skipped: 0 };
const skips = new Map();
const note = (event, outcome) => {
  if (event.details?.type === 'suite' && event.skip === undefined) return;
  if (event.skip !== undefined) {
    count.skipped++;
    const reason = typeof event.skip === 'string' && event.skip ? event.skip : 'no reason given';
    skips.set(reason, (skips.get(reason) ?? 0) + 1);
  } else count[outcome]++;
};

const stream = run({ files, concurrency: availableParallelism() });
stream.on('test:pass', (event) => note(event, 'passed'));
stream.on('test:fail', (event) => note(event, 'failed'));
const report = stream.compose(new spec());
report.pipe(process.stdout, { end: false });
report.on('end', () => {
  for (const [reason, times] of skips) console.log(`skipped ${times}: ${reason}`);
  if (count.passed + count.failed + count.skipped === 0) count.failed++;
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  process.exitCode = count.failed > 0 ? 1 : 0;
});
