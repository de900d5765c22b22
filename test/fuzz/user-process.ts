/** A user's program, started by threads.ts: it ends in the middle of its work, or when there is none left. */
import { type UserJob, useNet } from './user-net.ts';

const job: UserJob & { readonly exitAfter?: number } = JSON.parse(process.argv[2] ?? '{}');
const { exitAfter, ...work } = job;
if (exitAfter !== undefined) setTimeout(() => process.exit(0), exitAfter);
await useNet(work);
