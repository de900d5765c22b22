import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { MobileOneError } from '../../src/errors.ts';
import { nodeCpuEngine } from '../../src/platform/node/cpu-engine.ts';
import { randomNet } from '../support/random-graph.ts';
import { assertClose } from './scenario.ts';

export interface UserJob {
  readonly seed: number;
  readonly runs: number;
  readonly threads: number;
  readonly target?: string;
}

/** Compiles a random net, runs it a few times and compares; a target that is not here is nobody's fault. */
export async function useNet({ seed, runs, ...options }: UserJob): Promise<void> {
  const { graph, weights, inputs } = randomNet(seed, 10);
  const expected = await (await referenceEngine.compile(graph, weights)).run(inputs);
  try {
    const session = await (await nodeCpuEngine()).compile(graph, weights, options);
    for (let i = 0; i < runs; i++) {
      const found = await session.run(inputs);
      for (const name of Object.keys(expected)) assertClose(found[name], expected[name], name);
    }
  } catch (error) {
    if (!(error instanceof MobileOneError)) throw error;
  }
}
