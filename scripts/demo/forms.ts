import type { Engine } from '../../src/engine/engine.ts';
import { graphCost } from '../../src/graph/cost.ts';
import type { Net } from '../../src/graph/net.ts';
import type { Form } from '../../src/model/block.ts';
import { buildMobileOne, inputName } from '../../src/model/mobileone.ts';
import { compareNets } from '../../src/task/compare-nets.ts';
import { timeRun } from '../../src/task/timing.ts';
import type { Weights } from '../../src/tensor/tensor.ts';
import type { ClassifyConfig } from '../../src/training/recipe/run-config.ts';
import { reparameterize } from '../../src/transform/reparameterize.ts';

export interface FormFacts {
  readonly form: Form;
  readonly nodes: number;
  readonly parameters: number;
  readonly macs: number;
  /** Median time of one picture. */
  readonly milliseconds: number;
}

export interface FormComparison {
  readonly forms: readonly FormFacts[];
  /** Largest difference of the probabilities on random pictures. */
  readonly difference: number;
}

/** Re-parameterizes what was trained, compares the answers of both forms, and times them in turns. */
export async function compareForms(
  engine: Engine,
  { model, recipe }: ClassifyConfig,
  weights: Weights,
  benchMs: number,
): Promise<FormComparison> {
  const { size } = recipe.evaluation;
  const build = (batch: number): Net => ({
    graph: buildMobileOne(model, {
      form: 'train',
      batch,
      height: size,
      width: size,
      outputs: ['probabilities'],
    }),
    weights,
  });
  const { absolute } = await compareNets(engine, build(8), reparameterize(build(8)));
  const train = build(1);
  const deploy = reparameterize(train);
  const [trainMs = Number.NaN, deployMs = Number.NaN] = await medianTimes(
    engine,
    [train, deploy],
    size,
    benchMs,
  );
  const facts = (form: Form, { graph }: Net, milliseconds: number): FormFacts => {
    const { parameters, macs } = graphCost(graph);
    return { form, nodes: graph.nodes.length, parameters, macs, milliseconds };
  };
  return { forms: [facts('train', train, trainMs), facts('deploy', deploy, deployMs)], difference: absolute };
}

/** In turns, so that a busy moment of the machine falls on all alike. */
async function medianTimes(
  engine: Engine,
  nets: readonly Net[],
  size: number,
  benchMs: number,
): Promise<readonly number[]> {
  const input = {
    [inputName]: { shape: [1, size, size, 3], data: new Float32Array(3 * size * size).fill(0.3) },
  };
  const sessions = await Promise.all(nets.map(({ graph, weights }) => engine.compile(graph, weights)));
  const times: number[][] = sessions.map(() => []);
  try {
    const start = performance.now();
    for (let round = 0; round < 20 || performance.now() - start < benchMs * nets.length; round++)
      for (const [i, session] of sessions.entries()) times[i]?.push(await timeRun(() => session.run(input)));
  } finally {
    for (const session of sessions) session.dispose();
  }
  // The first runs pay for what later ones reuse.
  return times.map((all) => {
    const sorted = all.slice(5).sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? Number.NaN;
  });
}
