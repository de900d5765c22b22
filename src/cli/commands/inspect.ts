import type { Command } from 'commander';
import type { ByteSource } from '../../format/byte-source.ts';
import { findModel } from '../../hub/models.ts';
import { describeEvalTransform } from '../../image/eval-transform.ts';
import {
  type InspectedCheckpoint,
  type InspectedTensor,
  inspectCheckpoint,
} from '../../task/inspect-checkpoint.ts';
import { isNetMetadata } from '../../task/net-metadata.ts';
import { type Task, taskTitles } from '../../task/task-head.ts';
import { formatShape } from '../../tensor/tensor.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable, table, truncate } from '../text/layout.ts';
import { byteSize, grouped } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';

interface InspectFlags extends HubFlags {
  readonly json?: boolean;
  readonly tensors?: boolean;
}

export function addInspect(program: Command, terminal: Terminal): void {
  const command = program
    .command('inspect')
    .summary('look inside a checkpoint file')
    .description(
      'Shows what a safetensors or PyTorch file holds, of MobileOne or any other net. Nothing in it is executed.',
    )
    .argument('<file>', 'checkpoint, or the name of a known model')
    .option('--tensors', 'list every tensor')
    .option('--json', 'one JSON object, tensors included');
  addHubOptions(command)
    .addHelpText('after', '\nExample:\n  mobileone inspect checkpoint.pth --tensors')
    .action(async (file: string, flags: InspectFlags) => {
      const found = await inspectCheckpoint(await openCheckpoint(file, flags, terminal));
      if (flags.json) terminal.print(JSON.stringify(toJson(file, found), undefined, 2));
      else terminal.print(...toText(file, found, flags.tensors === true, terminal));
    });
}

/** A file is opened whatever is in it: its reader says best what is wrong with it. */
export async function openCheckpoint(
  nameOrPath: string,
  flags: HubFlags,
  terminal: Terminal,
): Promise<ByteSource> {
  const hub = hubOptions(flags);
  const file = findModel(nameOrPath) ? undefined : await hub.openFile?.(nameOrPath);
  return file ?? (await fetchWeights(nameOrPath, hub, terminal)).file;
}

/** The keys are stable; what is added later comes after them. */
function toJson(file: string, found: InspectedCheckpoint) {
  const { container, bytes, elements, tensors, net, reason, stored, extra } = found;
  return {
    file,
    container,
    bytes,
    elements,
    mobileone: net
      ? {
          family: net.family,
          form: net.form,
          config: net.config,
          complete: net.match.complete,
          missing: net.match.missing,
          unexpected: net.match.unexpected,
          wrongShape: net.match.wrongShape,
          cause: net.match.cause ?? null,
        }
      : null,
    reason: reason ?? null,
    metadata: stored,
    weightsAt: extra.weightsAt,
    strippedPrefix: extra.strippedPrefix,
    others: Object.fromEntries(extra.others),
    tensors: tensors.map(({ canonical, ...tensor }) => ({ ...tensor, canonical: canonical ?? null })),
    task: net ? taskOf(found) : null,
    head: found.metadata?.head ?? null,
  };
}

const taskOf = ({ metadata }: InspectedCheckpoint): Task => metadata?.head?.task ?? 'classify';

function toText(
  file: string,
  found: InspectedCheckpoint,
  withTensors: boolean,
  terminal: Terminal,
): readonly string[] {
  const { container, bytes, tensors, elements, extra } = found;
  const dtypes = new Map<string, number>();
  for (const { dtype } of tensors) dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + 1);
  const kinds = [...dtypes].map(([dtype, count]) => `${count} ${dtype}`).join(', ');
  const list: Fact[] = [
    ['container', `${container}, ${byteSize(bytes)}`],
    ['tensors', tensors.length === 0 ? 'none' : `${kinds}; ${grouped(elements)} numbers`],
    ...(extra.weightsAt ? [['weights at', extra.weightsAt] as const] : []),
    ...(extra.strippedPrefix ? [['prefix', `"${extra.strippedPrefix}" before every name`] as const] : []),
    ...netFacts(found),
  ];
  const stored = Object.entries(found.stored)
    .filter(([key]) => found.metadata === undefined || !isNetMetadata(key))
    .map(([key, value]): Fact => [printable(key), short(value)]);
  const others = [...extra.others].map(([key, value]): Fact => [printable(key), short(value)]);
  return [
    terminal.bold(printable(file)),
    ...indented(list, terminal),
    ...section('Stored beside the tensors', stored, terminal),
    ...section('Also in the file', others, terminal),
    ...(withTensors ? ['', ...tensorTable(tensors, terminal.width)] : []),
  ];
}

function netFacts(found: InspectedCheckpoint): readonly Fact[] {
  const { net, reason, metadata, metadataFault } = found;
  if (!net) return [['MobileOne', `no: ${printable(reason ?? '')}`]];
  const { config, family, form, match } = net;
  const problems = [
    [match.missing.length, 'missing'],
    [match.unexpected.length, 'unexpected'],
    [match.wrongShape.length, 'of another shape'],
  ] as const;
  const fit = problems.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : [])).join(', ');
  const classes = metadata?.head ? (metadata.labels ?? []).length : config.classes;
  const style = metadata?.head ? `, ${metadata.head.style}'s style` : '';
  return [
    ['net', `${printable(metadata?.name ?? config.name)}, ${form} form, ${classes} classes`],
    ['task', `${taskTitles[taskOf(found)]}${style}`],
    ['names', `${family}'s`],
    ['fit', match.complete ? 'every tensor in its place' : `${fit}${match.cause ? `: ${match.cause}` : ''}`],
    ...(metadata?.transform ? [['transform', describeEvalTransform(metadata.transform)] as const] : []),
    ...(metadata?.labels ? [['labels', `${metadata.labels.length} class names`] as const] : []),
    ...(metadataFault ? [['metadata', printable(metadataFault)] as const] : []),
  ];
}

/** Values can be whole programs or label lists. */
const short = (value: string): string => truncate(printable(value), 200);

const indented = (list: readonly Fact[], { width }: Terminal): readonly string[] =>
  facts(list, width - 2).map((line) => `  ${line}`);

function section(title: string, list: readonly Fact[], terminal: Terminal): readonly string[] {
  return list.length === 0 ? [] : ['', terminal.bold(title), ...indented(list, terminal)];
}

function tensorTable(tensors: readonly InspectedTensor[], width: number): readonly string[] {
  const columns = [
    { heading: 'tensor' },
    { heading: 'dtype' },
    { heading: 'shape' },
    { heading: 'here called' },
  ];
  const rows = tensors.map(({ name, dtype, shape, canonical }) => [
    printable(name),
    dtype,
    formatShape(shape),
    canonical === undefined || canonical === name ? '' : canonical,
  ]);
  return table(columns, rows, width);
}
