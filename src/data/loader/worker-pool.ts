import { DataError } from '../../errors.ts';
import { type BatchPool, type BatchResult, type BatchTask, transferOf } from './batch.ts';
import { type BatchTools, makeBatch } from './make-batch.ts';

/** To a worker. */
export interface BatchRequest {
  readonly id: number;
  readonly task: BatchTask;
}

/** From a worker. */
export type BatchReply =
  | { readonly id: number; readonly result: BatchResult }
  | { readonly id: number; readonly failure: string };

/** A worker as the platform gives it. */
export interface BatchWorker {
  readonly post: (request: BatchRequest, transfer: ArrayBuffer[]) => void;
  /** Whether the process must wait for it; idle workers do not keep it alive. */
  readonly hold: (held: boolean) => void;
  readonly close: () => Promise<void>;
}

export interface BatchWorkerEvents {
  readonly onReply: (reply: BatchReply) => void;
  /** After this it answers no more. */
  readonly onEnd: (reason: string) => void;
}

interface Waiting {
  readonly resolve: (result: BatchResult) => void;
  readonly reject: (cause: Error) => void;
}

interface Member {
  readonly worker: BatchWorker;
  readonly waiting: Map<number, Waiting>;
  ended: string | undefined;
}

/** Makes batches on worker threads: a whole batch by one worker, whichever has least to do. */
export function createWorkerPool(options: {
  readonly workers: number;
  readonly start: (events: BatchWorkerEvents) => BatchWorker;
  readonly readsFiles: boolean;
}): BatchPool {
  let lastId = 0;
  const members = Array.from({ length: options.workers }, () => startMember(options.start));
  return {
    ahead: 2 * options.workers,
    readsFiles: options.readsFiles,
    make: (task) => {
      const alive = members.filter(({ ended }) => ended === undefined);
      const [member] = alive.sort((a, b) => a.waiting.size - b.waiting.size);
      if (!member) return Promise.reject(workersEnded(members[0]?.ended ?? 'there is none'));
      lastId++;
      return ask(member, { id: lastId, task });
    },
    close: async () => {
      for (const member of members) end(member, 'it was closed');
      await Promise.all(members.map(({ worker }) => worker.close()));
    },
  };
}

function startMember(start: (events: BatchWorkerEvents) => BatchWorker): Member {
  const waiting = new Map<number, Waiting>();
  const worker = start({
    onReply: (reply) => {
      const asked = waiting.get(reply.id);
      // Late answers must not let go of a worker whose end is being waited for.
      if (!asked) return;
      waiting.delete(reply.id);
      if (waiting.size === 0) worker.hold(false);
      if ('result' in reply) asked.resolve(reply.result);
      else asked.reject(new DataError(`a batch could not be made: ${reply.failure}.`));
    },
    onEnd: (reason) => end(member, reason),
  });
  const member: Member = { worker, waiting, ended: undefined };
  return member;
}

function ask(member: Member, request: BatchRequest): Promise<BatchResult> {
  return new Promise((resolve, reject) => {
    member.waiting.set(request.id, { resolve, reject });
    member.worker.hold(true);
    const { buffers } = request.task;
    member.worker.post(request, buffers ? transferOf(buffers) : []);
  });
}

function end(member: Member, reason: string): void {
  member.ended ??= reason;
  for (const { reject } of member.waiting.values()) reject(workersEnded(reason));
  member.waiting.clear();
}

const workersEnded = (reason: string): DataError =>
  new DataError(`the threads that load pictures have ended: ${reason}.`, { reason });

/** The worker's side: answers requests one after the other. */
export function serveBatches(
  tools: BatchTools | Promise<BatchTools>,
  post: (reply: BatchReply, transfer: ArrayBuffer[]) => void,
): (request: BatchRequest) => void {
  let last: Promise<void> = Promise.resolve();
  const answer = async ({ id, task }: BatchRequest): Promise<void> => {
    try {
      const result = await makeBatch(task, await tools);
      post({ id, result }, transferOf(result));
    } catch (cause) {
      post({ id, failure: cause instanceof Error ? cause.message : String(cause) }, []);
    }
  };
  return (request) => {
    last = last.then(() => answer(request));
  };
}
