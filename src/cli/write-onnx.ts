import type { Engine } from '../engine/engine.ts';
import { encodeOnnx, type OnnxNormalization, type OnnxOptions } from '../format/onnx/encode-onnx.ts';
import type { Net } from '../graph/net.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import { nodePlatform } from '../node.ts';
import { type OnnxRuntime, openOnnxRuntime } from '../platform/node/onnx-runtime.ts';
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

/** The runtime, if it is there, and the engine to compare it with. */
interface Referees {
  readonly runtime: Extract<OnnxRuntime, { found: true }>;
  readonly engine: Engine;
}

/** Writes the file after `check` was content with it, where ONNX Runtime is installed. @throws what `check` throws */
export async function writeChecked(
  output: string,
  bytes: Uint8Array,
  check: (path: string, referees: Referees) => Promise<string>,
): Promise<WrittenOnnx> {
  const checked = await writeFileWhole(output, bytes, async (path) => {
    const runtime = await openOnnxRuntime();
    if (!runtime.found) return `no: ${runtime.reason}`;
    const said = await check(path, { runtime, engine: await nodePlatform().engine() });
    return `ONNX Runtime ${runtime.version}${said}`;
  });
  return { bytes: bytes.byteLength, checked };
}

/**
 * Writes the file after ONNX Runtime gave the same answers.
 * @param twice the net for two pictures, so that the free batch is proved too
 * @throws EngineError, WeightsError when ONNX Runtime does not run the file or gives other answers
 */
export function writeOnnx(output: string, net: Net, twice: Net, options: OnnxOptions): Promise<WrittenOnnx> {
  return writeChecked(output, encodeOnnx(net, options), async (path, { runtime, engine }) => {
    const agreement = await verifyOnnx(
      engine,
      twice,
      (input) => runtime.run(path, input),
      options.normalization,
    );
    checkAgreement(output, agreement, 1e-4);
    return ` differs by ${describeAgreement(agreement)}`;
  });
}
