/** A process that trains the tiny net in the folder it is given, from its checkpoint if there is one. */
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { openRunFolder } from '../../src/platform/node/run-folder.ts';
import { readRun, train } from '../../src/training/run/train.ts';
import { tinyConfig, tinyData, tinyWeights } from './tiny-run.ts';

const [, , folder = '', epochs = '1'] = process.argv;
const store = await openRunFolder(folder);
const from = await readRun(store);
process.stdout.write(`from ${from?.progress.step ?? 0}\n`);
await train({
  engine: referenceEngine,
  config: from?.config ?? tinyConfig({ epochs: Number(epochs) }),
  ...(from ? { from } : { weights: tinyWeights() }),
  data: tinyData(),
  store,
  checkpointSeconds: 0,
});
