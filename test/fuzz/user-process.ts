/** A user's program, started by threads.ts: it ends in the middle of its work, or when there is none left. */
import { type UserJob, useNet } from './user-net.ts';

interface ProcessJob extends UserJob {
  readonly exitAfter?: number;
  readonly exitWhenDone?: boolean;
}

const job: ProcessJob = JSON.parse(process.argv[2] ?? '{}');
const { exitAfter, exitWhenDone, ...work } = job;
if (exitAfter !== undefined) setTimeout(() => process.exit(0), exitAfter);
await useNet(work);
if (exitWhenDone) process.exit(0);
