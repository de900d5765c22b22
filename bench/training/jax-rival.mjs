// The training step of bench/small-net.ts in jax-js, on its WebAssembly backend.
// usage: node jax-rival.mjs PACKAGE SPEC.json matmul|convolution
// PACKAGE: the address of jax-js's module. SPEC: {"rate", "images", "targets", "weights": {name: {shape, data}}}, images NHWC.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [, , jax, file, pointwise] = process.argv;
const {
  init,
  defaultDevice,
  numpy: np,
  lax,
  nn,
  jit,
  valueAndGrad,
  blockUntilReady,
  tree,
} = await import(jax);
await init('wasm');
defaultDevice('wasm');

const spec = JSON.parse(readFileSync(file, 'utf8'));
const array = ({ shape, data }) => np.array(Float32Array.from(data)).reshape(shape);
const channel = ({ shape, data }) => array({ shape: [1, shape[0], 1, 1], data });

/** Parameters as one tree: jax-js differentiates by it. */
const { weights } = spec;
const norm = (name) => ({ gamma: channel(weights[`${name}.gamma`]), beta: channel(weights[`${name}.beta`]) });
const layer = (name) => ({ weight: array(weights[`${name}.weight`]), norm: norm(`${name}.bn`) });
const first = {
  layers: spec.layers.map(({ name }) => layer(name)),
  head: { weight: array(weights['head.weight']), bias: array(weights['head.bias']) },
};

const normed = (x, { gamma, beta }) => {
  const mean = x.ref.mean([0, 2, 3], { keepdims: true });
  const centred = x.sub(mean);
  const variance = np.square(centred.ref).mean([0, 2, 3], { keepdims: true });
  return centred
    .div(np.sqrt(variance.add(1e-5)))
    .mul(gamma)
    .add(beta);
};

const convolved = (x, weight, { kernel, stride, groups }) => {
  if (kernel === 1 && pointwise === 'matmul') {
    const [n, c, h, w] = x.shape;
    const out = weight.shape[0];
    return np
      .einsum('oc,nch->noh', weight.reshape([out, c]), x.reshape([n, c, h * w]))
      .reshape([n, out, h, w]);
  }
  const pad = Math.floor(kernel / 2);
  const padding = [
    [pad, pad],
    [pad, pad],
  ];
  return lax.convGeneralDilated(x, weight, [stride, stride], padding, { featureGroupCount: groups });
};

const logits = ({ layers, head }, images) => {
  let x = images;
  layers.forEach(({ weight, norm }, i) => {
    x = nn.relu(normed(convolved(x, weight, spec.layers[i]), norm));
  });
  return np.matmul(x.mean([2, 3]), head.weight.transpose()).add(head.bias);
};

const count = spec.images.shape[0];
const loss = (parameters, images, targets) =>
  nn
    .logSoftmax(logits(parameters, images), -1)
    .mul(targets)
    .sum()
    .mul(-1 / count);
const gradients = valueAndGrad(loss);
const step = jit((parameters, images, targets) => {
  const [value, slopes] = gradients(tree.ref(parameters), images, targets);
  return [value, tree.map((p, g) => p.sub(g.mul(spec.rate)), parameters, slopes)];
});

const images = array(spec.images).transpose([0, 3, 1, 2]);
const targets = array(spec.targets);
let parameters = first;
console.log(JSON.stringify({ version: `wasm, ${pointwise}` }));
for await (const line of createInterface({ input: process.stdin })) {
  const [losses, seconds] = [[], []];
  for (let i = 0; i < Number(line); i++) {
    const start = performance.now();
    const [value, next] = step(parameters, images.ref, targets.ref);
    parameters = next;
    await blockUntilReady(parameters);
    losses.push((await value.data())[0]);
    seconds.push((performance.now() - start) / 1000);
  }
  console.log(JSON.stringify({ losses, seconds, peakMegabytes: process.memoryUsage().rss / 2 ** 20 }));
}
