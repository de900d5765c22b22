/** The program of a helper thread in Node. Its first message is a HelperStart. */
import { parentPort, workerData } from 'node:worker_threads';
import { attachWasm } from '../../assembler/wasm/wasm-machine.ts';
import { type HelperMessage, type HelperStart, help } from '../../engine/cpu/helper.ts';
import { EngineError } from '../../errors.ts';
import { messageQueue } from '../message-queue.ts';
import { openNative } from './executable-memory.ts';
import { attachNative } from './executable-memory-machine.ts';
import { passGate } from './loading-gate.ts';
import { openThreadPlacement } from './thread-placement.ts';
import type { NodeHelperData } from './threads.ts';

const starts = messageQueue<HelperStart>();
const messages = messageQueue<HelperMessage>();
parentPort?.on('message', (data: HelperStart | HelperMessage) => {
  if ('mailbox' in data) starts.push(data);
  else messages.push(data);
});

const { invokeAddress, gate }: NodeHelperData = workerData;
const native =
  invokeAddress === undefined
    ? undefined
    : await passGate(gate, () => openNative({ invokeAddress, environment: {} }));
const placement = native?.available ? await openThreadPlacement() : undefined;
await help(await starts.next(), {
  next: messages.next,
  thread: placement?.thread(),
  attach: (code) => {
    if (code.kind === 'wasm') return attachWasm(code);
    if (native?.available) return attachNative(native.memory, code);
    throw new EngineError('engine cpu: native code cannot be called from this thread.');
  },
});
parentPort?.close();
