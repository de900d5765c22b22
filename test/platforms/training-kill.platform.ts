import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { referenceEngine } from '../../src/engine/reference/reference-engine.ts';
import { openRunFolder } from '../../src/platform/node/run-folder.ts';
import { createRandom } from '../../src/tensor/random.ts';
import { memoryRunStore } from '../../src/training/run/run-store.ts';
import { readRun, train } from '../../src/training/run/train.ts';
import { tinyConfig, tinyData, tinyWeights } from '../support/tiny-run.ts';

const epochs = 30;
const kills = 50;
const child = fileURLToPath(new URL('../support/training-child.js', import.meta.url));

/** Lets the run go on for a while, then kills it. @returns where it began, and whether it ended by itself before */
async function live(folder: string, milliseconds: number): Promise<{ from: number; done: boolean }> {
  const running = spawn(process.execPath, [child, folder, String(epochs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
    running.on('error', reject);
    running.on('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve(signal);
      else reject(new Error(`the run ended with ${code}`));
    });
  });
  const begun = new Promise<number>((resolve) => {
    running.stdout.setEncoding('utf8').once('data', (text: string) => resolve(Number(text.split(' ')[1])));
  });
  const from = await Promise.race([begun, ended.then(() => -1)]);
  await Promise.race([sleep(milliseconds), ended]);
  running.kill('SIGKILL');
  return { from, done: (await ended) === null };
}

test(`killed ${kills} times at random moments: nothing is lost, the numbers are those of an undisturbed run`, async () => {
  const straight = memoryRunStore();
  const config = tinyConfig({ epochs });
  await train({ engine: referenceEngine, config, weights: tinyWeights(), data: tinyData(), store: straight });
  const expected = await readRun(straight);
  const { uniform } = createRandom(11);
  const root = await mkdtemp(join(tmpdir(), 'mobileone-kill-'));
  let [killed, finished] = [0, 0];
  try {
    for (let run = 0; killed < kills || finished === 0; run++) {
      const folder = join(root, String(run));
      let reached = 0;
      // On a busy machine lives grow until one lasts long enough for a step.
      let longest = 500;
      for (let done = false; !done; ) {
        const life = await live(folder, 5 + longest * uniform() ** 2);
        assert.ok(life.from >= reached, `went on from step ${life.from} after one from ${reached}`);
        longest = life.from === reached ? 1.2 * longest : 500;
        reached = life.from;
        done = life.done;
        if (!done) killed++;
      }
      finished++;
      const store = await openRunFolder(folder);
      const found = await readRun(store);
      assert.deepEqual(found?.state, expected?.state);
      assert.equal(found?.progress.bestEpoch, expected?.progress.bestEpoch);
      const model = await store.read('model.safetensors');
      assert.deepEqual(model && new Uint8Array(model), await straight.read('model.safetensors'));
    }
  } finally {
    await rm(root, { recursive: true });
  }
  console.log(`${killed} kills, ${finished} runs finished`);
});
