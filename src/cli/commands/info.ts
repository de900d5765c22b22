import { type Command, Option } from 'commander';
import { WeightsError } from '../../errors.ts';
import { graphCost } from '../../graph/cost.ts';
import { findModel } from '../../hub/models.ts';
import {
  describeEvalTransform,
  type EvalTransform,
  resolveEvalTransform,
} from '../../image/eval-transform.ts';
import type { Form } from '../../model/block.ts';
import { type MobileOneConfig, mobileOneConfig, validateConfig, variantNames } from '../../model/config.ts';
import {
  describeNet,
  describeNodes,
  type FormFacts,
  type NetFacts,
  type NodeFacts,
} from '../../task/describe-net.ts';
import { buildHeadNet, exactSize } from '../../task/head-net.ts';
import { inspectCheckpoint } from '../../task/inspect-checkpoint.ts';
import { defaultTransform } from '../../task/net-defaults.ts';
import type { NetMetadata } from '../../task/net-metadata.ts';
import { type Task, taskTitles } from '../../task/task-head.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { outputStride, pictureSize, positiveInteger, type Size, wholeNumber } from '../arguments.ts';
import type { Terminal } from '../terminal.ts';
import { facts, printable, table, wrap } from '../text/layout.ts';
import { byteSize, grouped, scaled } from '../text/numbers.ts';
import { openCheckpoint } from './inspect.ts';

interface InfoFlags {
  readonly classes?: number;
  readonly branches?: number;
  readonly input?: Size;
  readonly outputStride?: 8 | 16 | 32;
  readonly nodes?: boolean;
  readonly form: Form;
  readonly json?: boolean;
}

export function addInfo(program: Command, terminal: Terminal): void {
  program
    .command('info')
    .summary('stages, parameters and work of a net')
    .description('Describes a net in both forms. A name needs no weights; of a file only the names are read.')
    .argument('<model>', 'a name such as s0, or a checkpoint file')
    .option('--classes <n>', 'another number of classes; 0 for none', wholeNumber)
    .option('-k, --branches <n>', 'convolution branches a block in train form', positiveInteger)
    .option('--input <size>', 'picture, height × width; default 224x224', pictureSize)
    .option('--output-stride <n>', '8, 16 or 32 input pixels per last feature; default 32', outputStride)
    .option('--nodes', 'list every node')
    .addOption(
      new Option('--form <form>', 'form of the listed nodes').choices(['train', 'deploy']).default('deploy'),
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  mobileone info s0 --classes 10 --input 192x256')
    .action(async (model: string, flags: InfoFlags) => {
      const subject = await findSubject(model, flags, terminal);
      const size = { ...flags.input, ...(flags.outputStride ? { outputStride: flags.outputStride } : {}) };
      const net = describeNet(subject.config, size);
      const nodes = flags.nodes ? describeNodes(subject.config, flags.form, size) : undefined;
      if (flags.json) terminal.print(JSON.stringify(toJson(subject, net, nodes), undefined, 2));
      else terminal.print(...toText(subject, net, nodes, terminal));
    });
}

interface WholeNet {
  readonly classes: number;
  readonly input: readonly [height: number, width: number];
  /** Deploy form, one picture. */
  readonly parameters: number;
  readonly macs: number;
}

interface Subject {
  readonly title: string;
  readonly config: MobileOneConfig;
  readonly transform: EvalTransform;
  readonly task: Task;
  /** The whole net, where a head stands on the backbone that the rest describes. */
  readonly whole?: WholeNet;
  /** Anything the figures rest on that the file does not say. */
  readonly remark?: string;
}

async function findSubject(model: string, flags: InfoFlags, terminal: Terminal): Promise<Subject> {
  const changes = {
    ...(flags.classes === undefined ? {} : { classes: flags.classes }),
    ...(flags.branches === undefined ? {} : { branches: flags.branches }),
  };
  const entry = findModel(model);
  if (entry) {
    const config = mobileOneConfig(entry.variant, changes);
    const title = Object.keys(changes).length > 0 ? config.name : entry.name;
    return { title, config, transform: resolveEvalTransform(entry.transform), task: 'classify' };
  }
  const source = await openCheckpoint(model, {}, terminal);
  const { net, metadata, reason } = await inspectCheckpoint(source);
  if (!net) throw new WeightsError(`"${model}" is no MobileOne: ${reason}`);
  const own = !variantNames.some((name) => `mobileone-${name}` === net.config.name);
  const guessed = net.form === 'deploy' && own && flags.branches === undefined;
  return {
    title: `${metadata?.name ?? net.config.name} from ${model}`,
    config: validateConfig({ ...net.config, ...changes }),
    transform: defaultTransform({ ...net, metadata: metadata ?? {} }, undefined),
    task: metadata?.head?.task ?? 'classify',
    ...wholeNet(net.config, metadata),
    ...(guessed
      ? {
          remark:
            'A deploy-form file does not say how many branches its train form had; 1 is assumed, -k changes it.',
        }
      : {}),
  };
}

function wholeNet(config: MobileOneConfig, metadata: NetMetadata | undefined): Pick<Subject, 'whole'> {
  const { head, labels, transform } = metadata ?? {};
  if (!head || !labels || !transform) return {};
  const { height, width } = exactSize(transform);
  const { graph } = buildHeadNet(head, config, labels.length, { form: 'deploy', height, width });
  const { parameters, macs } = graphCost(graph);
  return { whole: { classes: labels.length, input: [height, width], parameters, macs } };
}

/** The keys are stable; what is added later comes after them. */
function toJson(
  { title, transform, task, whole }: Subject,
  net: NetFacts,
  nodes: readonly NodeFacts[] | undefined,
) {
  return {
    model: title,
    ...net,
    transform,
    ...(nodes ? { nodeList: nodes } : {}),
    task,
    ...(whole ? { whole } : {}),
  };
}

function toText(
  { title, transform, remark, task, whole }: Subject,
  net: NetFacts,
  nodes: readonly NodeFacts[] | undefined,
  terminal: Terminal,
): readonly string[] {
  const [height, width, channels] = net.input;
  const { width: columns, bold } = terminal;
  const taps = net.taps.map(({ name, shape }) => `${name} ${formatShape(shape)}`).join(', ');
  const about = facts(
    [
      ['task', `${taskTitles[task]}${whole ? `, ${whole.classes} classes` : ''}`],
      ...(whole
        ? [
            [
              'whole net',
              `${grouped(whole.parameters)} parameters, ${scaled(whole.macs)} MACs at ${whole.input.join('×')}, deploy form; the rest is about the backbone`,
            ] as const,
          ]
        : []),
      ['input', `${height}×${width}, ${channels} channels, output stride ${net.outputStride}`],
      ['transform', describeEvalTransform(transform)],
      ['branches', `${net.branches} convolution${net.branches > 1 ? 's' : ''} a block in train form`],
      ['outputs', taps],
      ...(remark ? [['note', remark] as const] : []),
    ],
    columns - 2,
  );
  return [
    bold(printable(title)),
    ...about.map((line) => `  ${line}`),
    '',
    ...stageTable(net, columns),
    '',
    ...formTable(net.train, net.deploy, columns),
    ...(nodes ? ['', ...nodeTable(nodes, columns)] : []),
  ];
}

function stageTable({ stages, head }: NetFacts, width: number): readonly string[] {
  const gated = stages.some(({ squeezeExciteBlocks }) => squeezeExciteBlocks > 0);
  const columns = [
    { heading: 'deploy form' },
    { heading: 'size', align: 'right' },
    { heading: 'channels', align: 'right' },
    { heading: 'blocks', align: 'right' },
    ...(gated ? [{ heading: 'with SE', align: 'right' } as const] : []),
    { heading: 'parameters', align: 'right' },
    { heading: 'MACs', align: 'right' },
  ] as const;
  const rows = stages.map((stage) => [
    stage.name,
    stage.size.join('×'),
    String(stage.channels),
    String(stage.blocks),
    ...(gated ? [String(stage.squeezeExciteBlocks)] : []),
    grouped(stage.parameters),
    scaled(stage.macs),
  ]);
  const blank = gated ? ['', ''] : [''];
  const last = ['head', '1×1', String(head.classes), ...blank, grouped(head.parameters), scaled(head.macs)];
  return table(columns, head.classes > 0 ? [...rows, last] : rows, width);
}

const formRows: readonly (readonly [label: string, of: (form: FormFacts) => string])[] = [
  ['parameters, learned', (form) => grouped(form.parameters)],
  ['running statistics', (form) => grouped(form.buffers)],
  ['MACs', (form) => grouped(form.macs)],
  ['FLOPs, mmpretrain ¹', (form) => grouped(form.mmpretrainFlops)],
  ['FLOPs, paper/fvcore ²', (form) => grouped(form.fvcoreFlops)],
  ['activations', (form) => grouped(form.activations)],
  ['bytes moved', (form) => grouped(form.bytes)],
  ['weights in f32', (form) => byteSize(form.weightBytes)],
  ['nodes', (form) => grouped(form.nodes)],
];

function formTable(train: FormFacts, deploy: FormFacts, width: number): readonly string[] {
  const columns = [
    { heading: '' },
    { heading: 'train form', align: 'right' },
    { heading: 'deploy form', align: 'right' },
  ] as const;
  const rows = formRows.map(([label, of]) => [label, of(train), of(deploy)]);
  return [
    ...table(columns, rows, width),
    ...wrap('¹ MACs without the classifier, plus pooled elements', width, 2),
    ...wrap('² MACs with it, plus pooled elements', width, 2),
  ];
}

function nodeTable(nodes: readonly NodeFacts[], width: number): readonly string[] {
  const columns = [
    { heading: 'node' },
    { heading: 'op' },
    { heading: 'output' },
    { heading: 'parameters', align: 'right' },
    { heading: 'MACs', align: 'right' },
    { heading: 'bytes', align: 'right' },
  ] as const;
  const rows = nodes.map((node) => [
    node.name,
    `${node.kind}${node.attributes ? ` ${node.attributes}` : ''}`,
    formatShape(node.shape),
    grouped(node.parameters),
    scaled(node.macs),
    scaled(node.bytes),
  ]);
  return table(columns, rows, width);
}
