/** The program of a helper thread in Node. Its first message is a HelperStart. */
import { parentPort, workerData } from 'node:worker_threads';
import { attachWasm } from '../../assembler/wasm/wasm-machine.ts';
import { type HelperMessage, type HelperStart, help } from '../../engine/cpu/helper.ts';
import { messageQueue } from '../message-queue.ts';
import { openNative } from './executable-memory.ts';
import { attachNative } from './executable-memory-machine.ts';
import type { NodeHelperData } from './threads.ts';

const port = parentPort;
if (port !== null) {
  const { invokeAddress }: NodeHelperData = workerData;
  const queue = messageQueue<HelperStart | HelperMessage>();
  port.on('message', queue.push);
  const native =
    invokeAddress === undefined ? undefined : await openNative({ invokeAddress, environment: {} });
  const start = await queue.next();
  if ('mailbox' in start)
    await help(start, {
      next: async () => {
        const message = await queue.next();
        return 'mailbox' in message ? { kind: 'detach', id: 0 } : message;
      },
      attach: (code) => {
        if (code.kind === 'wasm') return attachWasm(code);
        if (native?.available) return attachNative(native.memory, code);
        throw new Error('helper: native code cannot be called from this thread');
      },
    });
  port.close();
}
