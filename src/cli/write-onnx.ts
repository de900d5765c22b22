import { encodeOnnx, type OnnxNormalization, type OnnxOptions } from '../format/onnx/encode-onnx.ts';
import type { Net } from '../graph/net.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import { nodePlatform } from '../node.ts';
import { openOnnxRuntime } from '../platform/node/onnx-runtime.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import { verifyOnnx } from '../task/verify-onnx.ts';
import { checkAgreement, describeAgreement } from './output-file.ts';

export interface NormalizationFlags {
  readonly normalize?: OnnxNormalization['kind'];
  readonly range?: '1' | '255';
}

/** On the 0–1 scale, whatever the transform's own is. */
export function normalizationOf(
  { mean, std, scale }: EvalTransform,
  channels: number,
  { normalize, range }: NormalizationFlags,
): OnnxNormalization | undefined {
  if (channels !== mean.length && normalize === undefined) return undefined;
  return {
    kind: normalize ?? 'external',
    range: range === undefined ? (normalize === 'included' ? 255 : scale) : range === '1' ? 1 : 255,
    mean: mean.map((value) => value / scale),
    std: std.map((value) => value / scale),
  };
}

export function describeNormalization(normalization: OnnxNormalization | undefined): string {
  if (normalization?.kind === 'included') return `RGB 0–${normalization.range}; mean and std are inside`;
  return 'normalized by the caller';
}

export interface WrittenOnnx {
  readonly bytes: number;
  /** What ONNX Runtime said, or why it was not asked. */
  readonly checked: string;
}

/**
 * Writes the file after ONNX Runtime, where it is installed, gave the same answers.
 * @param twice the net for two pictures, so that the free batch is proved too
 * @throws EngineError, WeightsError when ONNX Runtime does not run the file or gives other answers
 */
export async function writeOnnx(
  output: string,
  net: Net,
  twice: Net,
  options: OnnxOptions,
): Promise<WrittenOnnx> {
  const bytes = encodeOnnx(net, options);
  const checked = await writeFileWhole(output, bytes, async (path) => {
    const runtime = await openOnnxRuntime();
    if (!runtime.found) return `no: ${runtime.reason}`;
    const engine = await nodePlatform().engine();
    const run = (input: Parameters<typeof runtime.run>[1]) => runtime.run(path, input);
    const agreement = await verifyOnnx(engine, twice, run, options.normalization);
    checkAgreement(output, agreement, 1e-4);
    return `ONNX Runtime ${runtime.version} differs by ${describeAgreement(agreement)}`;
  });
  return { bytes: bytes.byteLength, checked };
}
