/** A worker thread of a user's own, started by threads.ts. It never disposes of its session. */
import { workerData } from 'node:worker_threads';
import { type UserJob, useNet } from './user-net.ts';

const job: UserJob = workerData;
await useNet(job);
