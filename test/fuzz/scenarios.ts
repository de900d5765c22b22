import { damagedCheckpoints, damagedPictures } from './files.ts';
import { brokenGraphs, soundGraphs, wildGraphs } from './graphs.ts';
import type { Scenario } from './scenario.ts';
import { absurdOptions, earlyDispose, manyModels, untypedValues, wrongTensors } from './sessions.ts';
import { processEnd, userWorkers } from './threads.ts';

export const scenarios: ReadonlyMap<string, Scenario> = new Map(
  Object.entries({
    soundGraphs,
    wildGraphs,
    brokenGraphs,
    wrongTensors,
    absurdOptions,
    untypedValues,
    earlyDispose,
    manyModels,
    damagedCheckpoints,
    damagedPictures,
    userWorkers,
    processEnd,
  }),
);
