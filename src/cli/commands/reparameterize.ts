import { type Command, Option } from 'commander';
import { referenceEngine } from '../../engine/reference/reference-engine.ts';
import { UsageError } from '../../errors.ts';
import { type Family, families, keyMaps } from '../../format/key-maps.ts';
import { writeWeights } from '../../format/weights-file.ts';
import { graphCost } from '../../graph/cost.ts';
import type { Net } from '../../graph/net.ts';
import { buildMobileOne } from '../../model/mobileone.ts';
import { openFileSource } from '../../platform/node/file-source.ts';
import { writeFileWhole } from '../../platform/node/write-file.ts';
import { compareOutputs, probeBatch, probeSize, runOnce } from '../../task/compare-nets.ts';
import { type LoadedNet, loadNet } from '../../task/load-net.ts';
import { writeNetMetadata } from '../../task/net-metadata.ts';
import { readNet } from '../../task/read-net.ts';
import { reparameterize } from '../../transform/reparameterize.ts';
import { checkAgreement, checkDifferentFiles, describeAgreement, outputEnding } from '../output-file.ts';
import type { Terminal } from '../terminal.ts';
import { type Fact, facts, printable } from '../text/layout.ts';
import { byteSize, grouped } from '../text/numbers.ts';
import { addHubOptions, fetchWeights, type HubFlags, hubOptions } from '../weights.ts';

interface ReparameterizeFlags extends HubFlags {
  readonly as?: Family;
  readonly dtype: 'f32' | 'f16' | 'bf16';
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
      new Option('--dtype <type>', 'numbers in the file').choices(['f32', 'f16', 'bf16']).default('f32'),
    );
  addHubOptions(command)
    .addHelpText('after', '\nExample:\n  mobileone reparameterize train.pth deploy.safetensors')
    .action(async (input: string, output: string, flags: ReparameterizeFlags) => {
      outputEnding(output, ['.safetensors']);
      const hub = hubOptions(flags);
      const { location } = await fetchWeights(input, hub, terminal);
      await checkDifferentFiles(location, output);
      const source = await loadNet(location, hub);
      const list = await mergeAndWrite(source, output, flags);
      terminal.print(
        terminal.bold(printable(output)),
        ...facts(list, terminal.width - 2).map((l) => `  ${l}`),
      );
    });
}

async function mergeAndWrite(
  source: LoadedNet,
  output: string,
  { as, dtype }: ReparameterizeFlags,
): Promise<readonly Fact[]> {
  const { net, labels, transform, location } = source;
  const { config } = net;
  if (net.form === 'deploy')
    throw new UsageError(
      `"${location}" is in deploy form: its branches are merged already. "mobileone export" writes it under other names or as ONNX.`,
    );
  const train: Net = {
    graph: buildMobileOne(config, { form: 'train', ...probeSize }),
    weights: net.weights,
  };
  const deploy = reparameterize(train);
  const probe = probeBatch([probeSize.batch, probeSize.height, probeSize.width, config.inChannels], 1);
  const expected = await runOnce(referenceEngine, train, probe);
  const exact = compareOutputs(expected, await runOnce(referenceEngine, deploy, probe));
  checkAgreement('reparameterize', exact);
  const family = as ?? net.family;
  const metadata = writeNetMetadata({ name: config.name, transform, ...(labels ? { labels } : {}) });
  const bytes = writeWeights(deploy.weights, family, metadata, dtype);
  const written = await writeFileWhole(output, bytes, async (path) => {
    const weights = await readWritten(path);
    return compareOutputs(expected, await runOnce(referenceEngine, { ...deploy, weights }, probe));
  });
  const [before, after] = [graphCost(train.graph), graphCost(deploy.graph)];
  return [
    ['net', `${config.name}, deploy form, names as ${keyMaps[family].title}'s`],
    ['parameters', `${grouped(before.parameters)} → ${grouped(after.parameters)}`],
    ['statistics', `${grouped(before.buffers)} → ${after.buffers}`],
    [
      'difference',
      `${describeAgreement(exact)} (${probeSize.batch} probe pictures of ${probeSize.height}×${probeSize.width})`,
    ],
    ...(dtype === 'f32' ? [] : [[`as ${dtype}`, describeAgreement(written)] as const]),
    ['file', `${byteSize(source.bytes)} → ${byteSize(bytes.byteLength)}`],
  ];
}

async function readWritten(path: string): Promise<Net['weights']> {
  const file = await openFileSource(path);
  try {
    return (await readNet(file)).weights;
  } finally {
    await file.close();
  }
}
