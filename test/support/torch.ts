import { readFileSync } from 'node:fs';
import * as v from 'valibot';

const numbers = v.array(v.number());
const run = {
  weight_decay: v.number(),
  start: numbers,
  steps: v.array(
    v.object({ rate: v.number(), gradient: numbers, parameter: numbers, memory: v.array(numbers) }),
  ),
};
const loss = {
  shape: numbers,
  logits: numbers,
  targets: numbers,
  loss: v.number(),
  gradient: numbers,
};
const schema = v.object({
  torch: v.string(),
  sgd: v.array(v.object({ momentum: v.number(), nesterov: v.boolean(), ...run })),
  adamw: v.array(v.object({ beta1: v.number(), beta2: v.number(), eps: v.number(), ...run })),
  clip: v.array(
    v.object({
      maxNorm: v.number(),
      gradients: v.array(numbers),
      norm: v.number(),
      clipped: v.array(numbers),
    }),
  ),
  crossEntropy: v.array(v.object({ smoothing: v.number(), ...loss })),
  binaryCrossEntropy: v.array(v.object(loss)),
});

const file = new URL('../../../src/engine/reference/fixtures/torch.json', import.meta.url);

/** Steps and losses by PyTorch in f64; `src/engine/reference/fixtures/make-torch-fixture.py` writes it. */
export const torch = v.parse(schema, JSON.parse(readFileSync(file, 'utf8')));
