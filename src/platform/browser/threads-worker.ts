/** The program of a helper thread in a page. Its first message is a HelperStart. */
import { attachWasm } from '../../assembler/wasm/wasm-machine.ts';
import { HELPER_ENDED, type HelperMessage, type HelperStart, help } from '../../engine/cpu/helper.ts';
import { EngineError } from '../../errors.ts';
import { messageQueue } from '../message-queue.ts';

const starts = messageQueue<HelperStart>();
const messages = messageQueue<HelperMessage>();
globalThis.addEventListener('message', ({ data }: MessageEvent<HelperStart | HelperMessage>) => {
  if ('mailbox' in data) starts.push(data);
  else messages.push(data);
});

help(await starts.next(), {
  next: messages.next,
  attach: (code) => {
    if (code.kind === 'wasm') return attachWasm(code);
    throw new EngineError('engine cpu: a page has no native code.');
  },
}).finally(() => {
  globalThis.postMessage(HELPER_ENDED);
  globalThis.close();
});
