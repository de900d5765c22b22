/** Bundled into a page: runs small nets on every target and thread count, and tells the test how far off they are. */

import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { mobileOneConfig } from '../../src/model/config.ts';
import { initialWeights, randomStatistics } from '../../src/model/initialize.ts';
import { buildMobileOne } from '../../src/model/mobileone.ts';
import { browserCpuEngine } from '../../src/platform/browser/cpu-engine.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { maxDifference, zeros } from '../../src/tensor/tensor.ts';
import { normalTensor } from './normal-tensor.ts';

export interface PageResult {
  readonly target: string;
  readonly asked: number;
  readonly threads: number;
  readonly relative: number;
  readonly sameEachTime: boolean;
}

async function results(helperUrl: string): Promise<readonly PageResult[]> {
  const config = mobileOneConfig('s0', { classes: 10, widths: [0.5, 0.5, 0.5, 0.5] });
  const graph = buildMobileOne(config, { form: 'train', height: 64, width: 64 });
  const weights = randomStatistics(graph, initialWeights(graph, 'timm', 7), 8);
  const random = createRandom(3);
  const shape = [1, 64, 64, 3];
  const image = normalTensor(shape, random);
  const expected = await (await referenceEngine.compile(graph, weights)).run({ image });
  const engine = browserCpuEngine({ helperUrl });
  const found: PageResult[] = [];
  for (const target of ['wasm-relaxed', 'wasm'])
    for (const asked of [1, 2, 3]) {
      const session = await engine.compile(graph, weights, { target, threads: asked });
      const { logits = zeros([0]) } = await session.run({ image });
      let sameEachTime = true;
      for (let i = 0; i < 60; i++) {
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 40));
        const again = (await session.run({ image })).logits ?? zeros([0]);
        sameEachTime &&= maxDifference(again, logits).absolute === 0;
      }
      const { relative } = maxDifference(logits, expected.logits ?? zeros([0]));
      found.push({ target, asked, threads: session.info?.threads ?? 0, relative, sameEachTime });
      session.dispose();
    }
  return found;
}

declare global {
  var mobileOneResults: typeof results;
}
globalThis.mobileOneResults = results;
