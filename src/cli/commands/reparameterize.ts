import { type Command, Option } from 'commander';
import { UsageError } from '../../errors.ts';
import { type Family, families, keyMaps } from '../../format/names/key-maps.ts';
import { graphCost } from '../../graph/cost.ts';
import { readHeadNet, readTaskHead } from '../../task/head-checkpoint.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import { checkDifferentFiles, describeAgreement, outputEnding } from '../output-file.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable } from '../text/layout.ts';
import { byteSize, grouped } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';
import { saveHeadNet } from '../write-heads.ts';
import { type SavedNet, type StoredType, saveSafetensors, storedTypes } from '../write-safetensors.ts';

interface ReparameterizeFlags extends HubFlags {
  readonly as?: Family;
  readonly dtype: StoredType;
}

export function addReparameterize(program: Command, terminal: Terminal): void {
  const command = program
    .command('reparameterize')
    .summary('merge the branches of a trained net')
    .description(
      'Train form to deploy form: every block becomes one convolution. Both are run on a probe and compared.',
    )
    .argument('<in>', 'checkpoint in train form, or the name of a known model')
    .argument('<out>', 'safetensors file to write')
    .addOption(new Option('--as <family>', 'tensor names; default those of <in>').choices(families))
    .addOption(
      new Option('--dtype <type>', 'numbers in the file').choices(Object.keys(storedTypes)).default('f32'),
    );
  addHubOptions(command)
    .addHelpText('after', '\nExample:\n  mobileone reparameterize train.pth deploy.safetensors')
    .action(async (input: string, output: string, { as, dtype, ...flags }: ReparameterizeFlags) => {
      outputEnding(output, ['.safetensors']);
      const hub = hubOptions(flags);
      const { location, file } = await fetchWeights(input, hub, terminal);
      await checkDifferentFiles(location, output);
      if (await readTaskHead(file)) {
        if (as !== undefined) throw new UsageError('--as: heads have names of this project only.');
        const net = await readHeadNet(file);
        if (net.form === 'deploy') throw alreadyMerged(location);
        const list = await saveHeadNet(net, output, 'deploy', dtype);
        terminal.print(
          terminal.bold(printable(output)),
          ...facts(list, terminal.width - 2).map((l) => `  ${l}`),
        );
        return;
      }
      const source = await loadNet(location, hub);
      if (source.net.form === 'deploy') throw alreadyMerged(location);
      const options = { form: 'deploy', dtype, ...(as === undefined ? {} : { family: as }) } as const;
      const saved = await saveSafetensors(source, output, options);
      const lines = facts(report(source, saved, dtype), terminal.width - 2);
      terminal.print(terminal.bold(printable(output)), ...lines.map((line) => `  ${line}`));
    });
}

const alreadyMerged = (location: string): UsageError =>
  new UsageError(
    `"${location}" is in deploy form: its branches are merged already. "mobileone export" writes it under other names or as ONNX.`,
  );

function report({ name, bytes }: LoadedNet, saved: SavedNet, dtype: StoredType): readonly Fact[] {
  const [before, after] = [graphCost(saved.given.graph), graphCost(saved.saved.graph)];
  return [
    ['net', `${printable(name)}, deploy form, ${dtype}`],
    ['names', keyMaps[saved.family].title],
    ['parameters', `${grouped(before.parameters)} → ${grouped(after.parameters)}`],
    ['statistics', `${grouped(before.buffers)} → ${grouped(after.buffers)}`],
    ['difference', describeAgreement(saved.agreement)],
    ['file', `${byteSize(bytes)} → ${byteSize(saved.bytes)}`],
  ];
}
