import type { Command } from 'commander';
import { type BuiltInModel, builtInModels } from '../../hub/built-in.ts';
import { licences } from '../../hub/licences.ts';
import { listModels, type ModelEntry, type ModelFamily } from '../../hub/models.ts';
import { nodePlatform } from '../../node.ts';
import type { Terminal } from '../terminal.ts';
import { type Column, table, wrap } from '../text/layout.ts';

interface ModelsFlags {
  readonly json?: boolean;
}

interface Listed {
  readonly entry: ModelEntry;
  readonly cached: boolean;
}

const sources: Readonly<Record<ModelFamily, string>> = {
  mmpretrain: 'mmpretrain',
  timm: 'timm',
  apple: 'Apple ml-mobileone',
  corenet: 'Apple CoreNet',
};

export function addModels(program: Command, terminal: Terminal): void {
  program
    .command('models')
    .summary('list every model known by name')
    .description(
      'Lists the published checkpoints: names, form, accuracy, licence, and which are here already.',
    )
    .argument('[pattern]', 'only names that match; * and ? are wildcards')
    .option('--json', 'one JSON array')
    .addHelpText('after', '\nExample:\n  mobileone models "*s1*"')
    .action(async (pattern: string | undefined, flags: ModelsFlags) => {
      const builtIn = builtInModels.filter(({ name }) => pattern === undefined || name === pattern);
      const { store } = nodePlatform().hub;
      const found = await Promise.all(
        listModels(pattern).map(async (entry) => ({
          entry,
          cached: (await store.open(entry.file)) !== undefined,
        })),
      );
      if (flags.json) terminal.print(JSON.stringify(found.map(toJson), undefined, 2));
      else if (found.length > 0 || builtIn.length > 0)
        terminal.print(...builtInText(builtIn, terminal), ...toText(found, terminal));
      else terminal.note(`mobileone: no model is called like "${pattern}"; "mobileone models" lists all.`);
      process.exitCode = found.length + builtIn.length > 0 ? 0 : 1;
    });
}

/** The keys are stable; what is added later comes after them. */
function toJson({ entry, cached }: Listed) {
  const { name, aliases, family, variant, form, accuracy, licence, urls, transform } = entry;
  const { title, url } = licences[licence];
  const { top1, top5 = null, source } = accuracy;
  return {
    name,
    aliases,
    source: family,
    variant,
    form,
    top1,
    top5,
    accuracySource: source,
    licence: { title, url },
    cached,
    urls,
    transform,
  };
}

function builtInText(models: readonly BuiltInModel[], { width, bold }: Terminal): readonly string[] {
  if (models.length === 0) return [];
  const lines = models.flatMap(({ name, knows }) => wrap(`${name}: ${knows}`, width - 2));
  return [bold('in the package'), ...lines.map((line) => `  ${line}`), ''];
}

function toText(found: readonly Listed[], terminal: Terminal): readonly string[] {
  const groups = new Map<string, Listed[]>();
  for (const one of found) {
    const { family, licence } = one.entry;
    const key = `${family} ${licence}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const anyCached = found.some(({ cached }) => cached);
  if (found.length === 0) return [];
  const blocks = [...groups.values()].flatMap((members) => [
    ...heading(members, terminal),
    ...table(columnsOf(anyCached), members.map(cellsOf), terminal.width - 2).map((line) => `  ${line}`),
    '',
  ]);
  const terms = 'Weights keep the licences of their publishers; a download shows them first.';
  return [...blocks, ...wrap(terms, terminal.width)];
}

/** Who published them and under which terms. */
function heading([first]: readonly Listed[], { width, bold, dim }: Terminal): readonly string[] {
  if (!first) return [];
  const { title, url } = licences[first.entry.licence];
  return [...wrap(sources[first.entry.family], width).map(bold), ...wrap(`${title}: ${url}`, width).map(dim)];
}

const columnsOf = (anyCached: boolean): readonly Column[] => [
  { heading: 'name' },
  { heading: 'also called' },
  { heading: 'form' },
  { heading: 'top-1', align: 'right' },
  { heading: 'top-5', align: 'right' },
  ...(anyCached ? [{ heading: 'here' }] : []),
];

/** The names nearest to what people type come first. */
function cellsOf({ entry, cached }: Listed): readonly string[] {
  const { name, aliases, form, accuracy } = entry;
  const short = [...aliases].sort((a, b) => a.length - b.length);
  return [
    name,
    short.join(', '),
    form,
    accuracy.top1.toFixed(2),
    accuracy.top5?.toFixed(2) ?? '',
    cached ? 'yes' : '',
  ];
}
