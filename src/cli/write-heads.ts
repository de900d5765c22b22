import { referenceEngine } from '../engine/reference/reference-engine.ts';
import type { OnnxNormalization } from '../format/onnx/encode-onnx.ts';
import { serializeEvalTransform } from '../image/eval-transform.ts';
import type { Form } from '../model/block.ts';
import { openFileSource } from '../platform/node/file-source.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import { compareNets } from '../task/compare-nets.ts';
import { encodeHeadNet, type NamedHeadNet, readHeadNet } from '../task/head-checkpoint.ts';
import { exactSize, runnableNet } from '../task/head-net.ts';
import { taskTitles } from '../task/task-head.ts';
import { checkAgreement, describeAgreement } from './output-file.ts';
import { type Fact, printable } from './text/layout.ts';
import { byteSize } from './text/numbers.ts';
import { describeNormalization, writeOnnx } from './write-onnx.ts';
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

/**
 * Writes the net up to its raw outputs; anchors, coding and classes stand in the file's metadata, decoding is the caller's.
 * @throws EngineError, WeightsError when ONNX Runtime does not run the file or gives other answers
 */
export async function exportHeadOnnx(
  source: NamedHeadNet,
  output: string,
  form: Form,
  normalization: OnnxNormalization | undefined,
): Promise<readonly Fact[]> {
  const { head, labels, transform, name } = source;
  const { net } = runnableNet(source, form);
  const twice = runnableNet(source, form, { batch: 2 }).net;
  const { bytes, checked } = await writeOnnx(output, net, twice, {
    ...(normalization ? { normalization } : {}),
    labels,
    transform: serializeEvalTransform(transform),
    metadata: { name, form, task: JSON.stringify(head) },
  });
  const { height, width } = exactSize(transform);
  return [
    netFact(source, form),
    [
      'input',
      `[batch, ${source.config.inChannels}, ${height}, ${width}], ${describeNormalization(normalization)}`,
    ],
    ['outputs', net.graph.outputs.map((one) => one.name).join(', ')],
    ['verified', checked],
    ['file', byteSize(bytes)],
  ];
}
