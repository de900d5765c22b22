import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/format/safetensors/safetensors-write.ts';
import type { RawTensor } from '../../src/tensor/tensor.ts';
import { golden } from './shared.ts';

/** Apple's fused S0 as it was released (its names, f32), put into one safetensors file in memory. */
export function appleS0File(): Uint8Array {
  const folder = golden('data', 'mobileone-s0-apple', 'weights');
  const shapes: Record<string, number[]> = JSON.parse(
    readFileSync(golden('reference', 'keys', 'apple_s0_deploy.json'), 'utf8'),
  );
  const tensors = new Map<string, RawTensor>();
  for (const file of readdirSync(folder)) {
    const name = file.replace(/\.bin$/, '');
    tensors.set(name, { dtype: 'f32', shape: shapes[name] ?? [], bytes: readFileSync(join(folder, file)) });
  }
  return writeSafetensors(tensors);
}

/** NCHW → NHWC, both f32. */
export function channelsLast(
  data: Float32Array,
  channels: number,
  height: number,
  width: number,
): Float32Array {
  const area = height * width;
  return Float32Array.from(
    { length: data.length },
    (_, i) => data[(i % channels) * area + Math.floor(i / channels)] ?? 0,
  );
}
