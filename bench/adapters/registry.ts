import type { Adapter } from './adapter.ts';

/** Loaded only where they run, so that no engine sits in another's process. */
export const adapters = {
  mobileone: async (): Promise<Adapter> => (await import('./mobileone.ts')).mobileone,
  onnxruntimeNode: async (): Promise<Adapter> => (await import('./onnxruntime-node.ts')).onnxruntimeNode,
  onnxruntimeWeb: async (): Promise<Adapter> => (await import('./onnxruntime-web.ts')).onnxruntimeWeb,
  tfjsWasm: async (): Promise<Adapter> => (await import('./tfjs-wasm.ts')).tfjsWasm,
  litert: async (): Promise<Adapter> => (await import('./litert.ts')).litert,
} as const;

export type AdapterName = keyof typeof adapters;
