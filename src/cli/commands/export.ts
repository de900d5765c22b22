import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.ts';
import { type Family, families, keyMaps } from '../../format/names/key-maps.ts';
import type { OnnxNormalization } from '../../format/onnx/encode-onnx.ts';
import type { Net } from '../../graph/net.ts';
import type { ResolvedWeights } from '../../hub/resolve.ts';
import { serializeEvalTransform } from '../../image/eval-transform.ts';
import type { Form } from '../../model/block.ts';
import { type BuildOptions, buildMobileOne, type OutputName } from '../../model/mobileone.ts';
import { inputSize } from '../../task/classify.ts';
import { readHeadNet, readTaskHead } from '../../task/head-checkpoint.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import { taskTitles } from '../../task/task-head.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import { pictureSize, type Size } from '../arguments.ts';
import { checkDifferentFiles, describeAgreement, outputEnding } from '../output-file.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable } from '../text/layout.ts';
import { byteSize } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';
import { exportHeadOnnx, saveHeadNet } from '../write-heads.ts';
import { describeNormalization, normalizationOf, writeOnnx } from '../write-onnx.ts';
import { type StoredType, saveSafetensors, storedTypes } from '../write-safetensors.ts';

interface ExportFlags extends HubFlags {
  readonly form: Form;
  readonly as?: Family;
  readonly dtype?: StoredType;
  readonly normalize?: OnnxNormalization['kind'];
  readonly range?: '1' | '255';
  readonly input?: Size;
  readonly outputs?: string;
  readonly decode?: boolean;
}

export function addExport(program: Command, terminal: Terminal): void {
  const command = program
    .command('export')
    .summary('write a net as ONNX or safetensors')
    .description('Writes a net as ONNX, checked in ONNX Runtime where that is installed, or as safetensors.')
    .argument('<in>', 'checkpoint, or the name of a known model')
    .argument('<out>', 'file to write: .onnx or .safetensors')
    .addOption(new Option('--form <form>', 'form to write').choices(['train', 'deploy']).default('deploy'))
    .addOption(
      new Option('--normalize <where>', 'ONNX: mean and std are external (default) or included').choices([
        'external',
        'included',
      ]),
    )
    .addOption(
      new Option('--range <white>', 'ONNX: what white is where they are included; default 255').choices([
        '1',
        '255',
      ]),
    )
    .option('--input <size>', 'ONNX: picture, height × width', pictureSize)
    .option('--outputs <names>', 'ONNX: such as stage2,stage4,logits; default logits')
    .option('--decode', 'ONNX of detectors and segmenters: boxes or a class map come out, not raw outputs')
    .addOption(new Option('--as <family>', 'safetensors: tensor names').choices(families))
    .addOption(new Option('--dtype <type>', 'safetensors: default f32').choices(Object.keys(storedTypes)));
  addHubOptions(command)
    .addHelpText('after', '\nExample:\n  mobileone export s0 s0.onnx --normalize included --range 255')
    .action(async (input: string, output: string, flags: ExportFlags) => {
      const ending = outputEnding(output, ['.onnx', '.safetensors']);
      refuseForeign(ending, flags);
      const hub = hubOptions(flags);
      const { location, file } = await fetchWeights(input, hub, terminal);
      await checkDifferentFiles(location, output);
      const write = (await readTaskHead(file)) ? exportHead : exportClassifier;
      const list = await write({ location, file }, ending, output, flags);
      terminal.print(
        terminal.bold(printable(output)),
        ...facts(list, terminal.width - 2).map((l) => `  ${l}`),
      );
    });
}

type Source = Pick<ResolvedWeights, 'location' | 'file'>;
type Ending = '.onnx' | '.safetensors';

async function exportClassifier(
  { location }: Source,
  ending: Ending,
  output: string,
  flags: ExportFlags,
): Promise<readonly Fact[]> {
  if (flags.decode)
    throw new UsageError('--decode: is for detectors and segmenters; a classifier has nothing to decode.');
  const source = await loadNet(location, hubOptions(flags));
  if (flags.form === 'train' && source.net.form === 'deploy')
    throw new UsageError(`"${location}" is in deploy form; the train form cannot be won back.`);
  return (ending === '.onnx' ? exportOnnx : exportSafetensors)(source, output, flags);
}

async function exportHead(
  { file }: Source,
  ending: Ending,
  output: string,
  flags: ExportFlags,
): Promise<readonly Fact[]> {
  const source = await readHeadNet(file);
  for (const name of ['as', 'input', 'outputs'] as const)
    if (flags[name] !== undefined)
      throw new UsageError(`--${name}: has no meaning for a net for ${taskTitles[source.head.task]}.`);
  if (ending === '.safetensors') return saveHeadNet(source, output, flags.form, flags.dtype ?? 'f32');
  const normalization = normalizationOf(source.transform, source.config.inChannels, flags);
  return exportHeadOnnx(source, output, {
    form: flags.form,
    normalization,
    decode: flags.decode ?? false,
  });
}

/** Options that only the other kind of file has must not be passed over in silence. */
function refuseForeign(ending: Ending, flags: ExportFlags): void {
  const foreign =
    ending === '.onnx'
      ? (['as', 'dtype'] as const)
      : (['normalize', 'range', 'input', 'outputs', 'decode'] as const);
  for (const name of foreign)
    if (flags[name] !== undefined) throw new UsageError(`--${name}: ${ending} files have no such option.`);
  if (flags.range !== undefined && flags.normalize !== 'included')
    throw new UsageError('--range: says what pictures are like before --normalize included; give both.');
}

function netOf({ net }: LoadedNet, form: Form, options: Omit<BuildOptions, 'form'>): Net {
  const given = { graph: buildMobileOne(net.config, { ...options, form: net.form }), weights: net.weights };
  return form === 'deploy' && net.form === 'train' ? reparameterize(given) : given;
}

async function exportSafetensors(
  source: LoadedNet,
  output: string,
  { form, as, dtype = 'f32' }: ExportFlags,
): Promise<readonly Fact[]> {
  const options = { form, dtype, ...(as === undefined ? {} : { family: as }) };
  const saved = await saveSafetensors(source, output, options);
  return [
    ['net', `${printable(source.name)}, ${form} form, ${dtype}`],
    ['names', keyMaps[saved.family].title],
    ['difference', describeAgreement(saved.agreement)],
    ['file', `${byteSize(source.bytes)} → ${byteSize(saved.bytes)}`],
  ];
}

async function exportOnnx(source: LoadedNet, output: string, flags: ExportFlags): Promise<readonly Fact[]> {
  const { net, name, labels, transform } = source;
  const [height, width] = flags.input ? [flags.input.height, flags.input.width] : inputSize(transform);
  const outputs = outputNames(flags.outputs);
  const size = { height, width, ...(outputs ? { outputs } : {}) };
  const exported = netOf(source, flags.form, size);
  const normalization = normalizationOf(transform, net.config.inChannels, flags);
  // Two pictures, so that the free batch is proved too.
  const twice: Net = { ...exported, graph: netOf(source, flags.form, { ...size, batch: 2 }).graph };
  const { bytes, checked } = await writeOnnx(output, exported, twice, {
    ...(normalization ? { normalization } : {}),
    ...(labels ? { labels } : {}),
    transform: serializeEvalTransform(transform),
    metadata: { name, form: flags.form },
  });
  const shape = `[batch, ${net.config.inChannels}, ${height}, ${width}]`;
  return [
    ['net', `${printable(name)}, ${flags.form} form`],
    ['input', `${shape}, ${describeNormalization(normalization)}`],
    ['outputs', exported.graph.outputs.map(({ name }) => name).join(', ')],
    ['verified', checked],
    ['file', `${byteSize(source.bytes)} → ${byteSize(bytes)}`],
  ];
}

/** Whether the net has such an output is for it to say. */
function outputNames(list: string | undefined): readonly OutputName[] | undefined {
  return list?.split(',').map((part) => {
    const name = part.trim();
    if (isOutputName(name)) return name;
    throw new UsageError(
      `--outputs: "${name}" must be stem, stage1, stage2, …, preLogits, logits or probabilities.`,
    );
  });
}

const isOutputName = (name: string): name is OutputName =>
  /^(stem|stage\d+|preLogits|logits|probabilities)$/.test(name);
