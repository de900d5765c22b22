import type { VariantName } from '../src/model/config.ts';
import type { RunnerOptions } from './adapters/adapter.ts';
import type { AdapterName } from './adapters/registry.ts';

export const roofs = ['avx512', 'avx2', 'amx', 'wasm-relaxed', 'wasm'] as const;
export type Roof = (typeof roofs)[number];

/** Time as a ratio to another engine's in the same run. */
export interface Goal {
  readonly against: string;
  readonly atMost: number;
  readonly batch?: number;
  readonly variants?: readonly VariantName[];
}

/** How far from f32 a right answer may be: of the largest logit, or of the softmax. */
export type Tolerance =
  | { readonly of: 'logits'; readonly atMost: number }
  | { readonly of: 'probabilities'; readonly atMost: number };

export interface EngineRow {
  readonly name: string;
  readonly adapter: AdapterName;
  readonly options: Pick<RunnerOptions, 'target' | 'precision' | 'quantized'>;
  /** `newer`: the newest Node from 22 on that is to be found. */
  readonly runtime: 'this' | 'newer';
  /** The measured peak its code could reach. */
  readonly roof: Roof;
  readonly tolerance: Tolerance;
  readonly variants: readonly VariantName[];
  readonly batches: readonly number[];
  readonly goals: readonly Goal[];
  /** Runs in web pages too. */
  readonly inPages?: true;
}

const all: readonly VariantName[] = ['s0', 's1', 's2', 's3', 's4'];
const small: readonly VariantName[] = ['s0', 's1'];
const f32: Tolerance = { of: 'logits', atMost: 1e-4 };
const reduced: Tolerance = { of: 'probabilities', atMost: 0.02 };
const both = [1, 32];

const ours = { adapter: 'mobileone', variants: all, batches: both } as const;
const rival = { options: {}, tolerance: f32, goals: [] } as const;

export const engineRows: readonly EngineRow[] = [
  {
    ...ours,
    name: 'mobileone avx512',
    options: { target: 'avx512' },
    runtime: 'this',
    roof: 'avx512',
    tolerance: f32,
    goals: [
      { against: 'onnxruntime-node', atMost: 0.75, batch: 1 },
      { against: 'onnxruntime-node', atMost: 1, batch: 32 },
    ],
  },
  {
    ...ours,
    name: 'mobileone avx2',
    options: { target: 'avx2' },
    runtime: 'this',
    roof: 'avx2',
    tolerance: f32,
    goals: [{ against: 'onnxruntime-node', atMost: 1.3, batch: 1 }],
  },
  {
    ...ours,
    name: 'mobileone bf16',
    options: { precision: 'bf16' },
    runtime: 'this',
    roof: 'amx',
    tolerance: reduced,
    goals: [
      { against: 'onnxruntime-node', atMost: 0.25, batch: 1 },
      { against: 'onnxruntime-node int8', atMost: 0.5, batch: 1 },
    ],
  },
  {
    ...ours,
    name: 'mobileone wasm-relaxed',
    inPages: true,
    options: { target: 'wasm-relaxed' },
    runtime: 'newer',
    roof: 'wasm-relaxed',
    tolerance: f32,
    goals: [
      { against: 'litert', atMost: 0.8, batch: 1, variants: small },
      { against: 'onnxruntime-web', atMost: 0.5, batch: 1, variants: small },
      { against: 'tfjs-wasm', atMost: 0.5, batch: 1, variants: small },
    ],
  },
  {
    ...ours,
    name: 'mobileone wasm',
    inPages: true,
    options: { target: 'wasm' },
    runtime: 'this',
    roof: 'wasm',
    tolerance: f32,
    goals: [{ against: 'litert without relaxed SIMD', atMost: 0.8, batch: 1, variants: small }],
  },
  {
    ...rival,
    name: 'onnxruntime-node',
    adapter: 'onnxruntimeNode',
    runtime: 'this',
    roof: 'avx512',
    variants: all,
    batches: both,
  },
  {
    ...rival,
    name: 'onnxruntime-node int8',
    adapter: 'onnxruntimeNode',
    options: { quantized: true },
    runtime: 'this',
    roof: 'avx512',
    tolerance: { of: 'logits', atMost: 0.1 },
    variants: all,
    batches: [1],
  },
  {
    ...rival,
    name: 'onnxruntime-web',
    inPages: true,
    adapter: 'onnxruntimeWeb',
    runtime: 'newer',
    roof: 'wasm',
    variants: small,
    batches: [1],
  },
  {
    ...rival,
    name: 'tfjs-wasm',
    inPages: true,
    adapter: 'tfjsWasm',
    runtime: 'newer',
    roof: 'wasm',
    variants: small,
    batches: [1],
  },
  {
    ...rival,
    name: 'litert',
    inPages: true,
    adapter: 'litert',
    runtime: 'newer',
    roof: 'wasm-relaxed',
    variants: small,
    batches: [1],
  },
  {
    ...rival,
    name: 'litert without relaxed SIMD',
    adapter: 'litert',
    runtime: 'this',
    roof: 'wasm',
    variants: small,
    batches: [1],
  },
];

/** One row of the table: an engine on one net, batch and thread count. */
export interface Row {
  readonly id: string;
  readonly engine: EngineRow;
  readonly variant: VariantName;
  readonly batch: number;
  readonly threads: number;
}

/** Rows that take turns: those of one net and batch. */
export interface RowGroup {
  readonly variant: VariantName;
  readonly batch: number;
  readonly rows: readonly Row[];
}

export interface RowChoice {
  readonly variants: readonly VariantName[];
  readonly batches: readonly number[];
  readonly threads: readonly number[];
  /** Keeps rows whose id has all of these parts. */
  readonly only: readonly string[];
}

export function rowGroups({ variants, batches, threads, only }: RowChoice): readonly RowGroup[] {
  const groups = variants.flatMap((variant) =>
    batches.map((batch) => ({
      variant,
      batch,
      rows: engineRows
        .filter((engine) => engine.variants.includes(variant) && engine.batches.includes(batch))
        .flatMap((engine) =>
          threads.map((count) => ({
            id: `${engine.name} ${variant} batch ${batch}, ${count} thread${count > 1 ? 's' : ''}`,
            engine,
            variant,
            batch,
            threads: count,
          })),
        )
        .filter(({ id }) => only.every((part) => id.includes(part))),
    })),
  );
  return groups.filter(({ rows }) => rows.length > 0);
}
