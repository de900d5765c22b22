import { referenceEngine } from '../engine/reference/reference-engine.ts';
import { WeightsError } from '../errors.ts';
import type { OnnxDecoding } from '../format/onnx/decoding.ts';
import { encodeOnnx, type OnnxNormalization, type OnnxOptions } from '../format/onnx/encode-onnx.ts';
import type { Net } from '../graph/net.ts';
import { serializeEvalTransform } from '../image/eval-transform.ts';
import type { Form } from '../model/block.ts';
import { openFileSource } from '../platform/node/file-source.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import { compareNets } from '../task/compare-nets.ts';
import { encodeHeadNet, type NamedHeadNet, readHeadNet } from '../task/head-checkpoint.ts';
import { exactSize, runnableNet } from '../task/head-net.ts';
import { onnxDecoding } from '../task/onnx-decoding.ts';
import { taskTitles } from '../task/task-head.ts';
import { verifyDecoding } from '../task/verify-decoding.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { checkAgreement, describeAgreement } from './output-file.ts';
import { type Fact, printable } from './text/layout.ts';
import { byteSize } from './text/numbers.ts';
import { describeNormalization, type WrittenOnnx, writeChecked, writeOnnx } from './write-onnx.ts';
import { storedTypes } from './write-safetensors.ts';

/** Heads are compared on pictures of this size; small, as the reference engine is slow. */
const probe = { batch: 2, height: 96, width: 96 } as const;

const netFact = ({ name, head }: NamedHeadNet, form: Form): Fact => [
  'net',
  `${printable(name)}, ${taskTitles[head.task]}, ${form} form`,
];

/**
 * Writes a detector or segmenter with all that it needs to answer for itself; the file appears only after it was read
 * back and gave the same answers.
 * @throws WeightsError when it does not; UsageError for the train form of fused weights
 */
export async function saveHeadNet(
  source: NamedHeadNet,
  output: string,
  form: Form,
  dtype: 'f32' | 'f16' | 'bf16',
): Promise<readonly Fact[]> {
  const { net } = runnableNet(source, form, probe);
  // The head that only training needs stays with the train form.
  const weights = form === source.form ? source.weights : net.weights;
  const bytes = encodeHeadNet({ ...source, weights }, dtype);
  const agreement = await writeFileWhole(output, bytes, async (written) => {
    const saved = await readHeadNet(await openFileSource(written));
    const given = runnableNet(source, source.form, probe).net;
    const found = await compareNets(referenceEngine, given, runnableNet(saved, form, probe).net);
    checkAgreement(output, found, storedTypes[dtype]);
    return found;
  });
  return [
    netFact(source, form),
    ['numbers', dtype],
    ['difference', describeAgreement(agreement)],
    ['file', byteSize(bytes.byteLength)],
  ];
}

export interface HeadOnnxOptions {
  readonly form: Form;
  readonly normalization: OnnxNormalization | undefined;
  /** The file gives boxes or a class map; otherwise raw outputs, with all that decodes them in its metadata. */
  readonly decode: boolean;
}

/** @throws EngineError, WeightsError when ONNX Runtime does not run the file or gives other answers */
export async function exportHeadOnnx(
  source: NamedHeadNet,
  output: string,
  { form, normalization, decode }: HeadOnnxOptions,
): Promise<readonly Fact[]> {
  const { head, labels, transform, name } = source;
  const { net, maps } = runnableNet(source, form);
  const options: OnnxOptions = {
    ...(normalization ? { normalization } : {}),
    labels,
    transform: serializeEvalTransform(transform),
    metadata: { name, form, task: JSON.stringify(head) },
  };
  const decoding = onnxDecoding(source, maps);
  const { bytes, checked } = decode
    ? await writeDecoded(source, output, net, { ...options, decoding })
    : await writeOnnx(output, net, runnableNet(source, form, { batch: 2 }).net, options);
  const { height, width } = exactSize(transform);
  return [
    netFact(source, form),
    [
      'input',
      `[batch, ${source.config.inChannels}, ${height}, ${width}], ${describeNormalization(normalization)}`,
    ],
    ['outputs', decode ? decodedOutputs[decoding.kind] : net.graph.outputs.map((one) => one.name).join(', ')],
    ['verified', checked],
    ['file', byteSize(bytes)],
  ];
}

const decodedOutputs: Readonly<Record<OnnxDecoding['kind'], string>> = {
  boxes: 'boxes, scores, labels, images; suppression inside',
  classMap: 'classMap',
};

/** Answers that may differ: scores and overlaps that rounding takes over a threshold. */
const leastSame = 0.98;

/** The file takes its place after ONNX Runtime gave the answers of `detect` or `segment`. */
function writeDecoded(
  source: NamedHeadNet,
  output: string,
  net: Net,
  options: OnnxOptions,
): Promise<WrittenOnnx> {
  return writeChecked(output, encodeOnnx(net, options), async (path, { runtime, engine }) => {
    const run = (input: Tensor) => runtime.answers(path, input);
    const { what, same, all } = await verifyDecoding(engine, source, run, options.normalization);
    if (same < leastSame * all)
      throw new WeightsError(
        `"${output}" would give other answers than the net that was read: only ${same} of ${all} ${what} are the same. Nothing was written.`,
        { same, all },
      );
    return `: ${same} of ${all} ${what} are the same, on two random pictures`;
  });
}
