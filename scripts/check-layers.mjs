// Layers and import cycles, as ARCHITECTURE.md states them: an import may only point down, siblings never meet,
// and only platform folders and composition roots may touch node:* or the DOM.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** Kernels, from what all of them are made of to whole blocks. */
const belowKernels = ['errors.ts', 'tensor', 'graph', 'assembler', 'kernel/plan', 'kernel/vector'];
const kernelLayers = {
  'kernel/plan': ['errors.ts', 'tensor', 'graph', 'assembler'],
  'kernel/vector': belowKernels,
  'kernel/copy': belowKernels,
  'kernel/elementwise': belowKernels,
  'kernel/optimizer': [...belowKernels, 'kernel/elementwise'],
  'kernel/loss': [...belowKernels, 'kernel/elementwise'],
  'kernel/norm': belowKernels,
  'kernel/pool': [...belowKernels, 'kernel/copy'],
  'kernel/product': belowKernels,
  'kernel/convolution': [...belowKernels, 'kernel/copy', 'kernel/product'],
  'kernel/bf16/inference': [...belowKernels, 'kernel/convolution'],
  'kernel/bf16/training': [...belowKernels, 'kernel/convolution', 'kernel/product'],
  'kernel/merge': [...belowKernels, 'kernel/convolution', 'kernel/product'],
};

const nets = ['errors.ts', 'tensor', 'graph', 'format', 'model', 'transform'];
const belowTasks = [...nets, 'image', 'metrics', 'detection', 'hub', 'engine/engine.ts'];
const belowTraining = [...belowTasks, 'data', 'report', 'task'];

/** What each place may import, besides itself. A place is the longest matching path prefix. */
const layers = {
  'errors.ts': [],
  tensor: ['errors.ts'],
  graph: ['errors.ts', 'tensor'],
  assembler: ['errors.ts', 'tensor'],
  ...kernelLayers,
  'engine/engine.ts': ['errors.ts', 'tensor', 'graph'],
  'engine/bind.ts': ['errors.ts', 'tensor', 'graph'],
  'engine/reference': ['errors.ts', 'tensor', 'graph', 'engine/engine.ts', 'engine/bind.ts'],
  'engine/cpu': ['errors.ts', 'tensor', 'graph', 'engine/engine.ts', 'engine/bind.ts', 'kernel', 'assembler'],
  model: ['errors.ts', 'tensor', 'graph'],
  transform: ['errors.ts', 'tensor', 'graph'],
  format: ['errors.ts', 'tensor', 'graph'],
  image: ['errors.ts', 'tensor'],
  data: ['errors.ts', 'tensor', 'image', 'metrics/detection', 'detection'],
  metrics: ['errors.ts', 'tensor'],
  detection: ['errors.ts', 'tensor'],
  report: ['errors.ts', 'tensor', 'image', 'metrics'],
  hub: [...nets, 'image'],
  task: belowTasks,
  'training/recipe': belowTraining,
  'training/batches': [...belowTraining, 'training/recipe'],
  'training/step': [...belowTraining, 'training/recipe'],
  'training/task': [...belowTraining, 'training/recipe', 'training/batches', 'training/step'],
  'training/run': [...belowTraining, 'training/recipe', 'training/step', 'training/task'],
  platform: ['*'],
  cli: ['*'],
  'index.ts': ['*'],
  'node.ts': ['*'],
  'browser.ts': ['*'],
};
const mayUseNode = ['platform/node', 'cli', 'node.ts'];
const mayUseDom = ['platform/browser', 'browser.ts'];
const notBelowRoots = ['cli', 'platform/node', 'platform/browser', 'node.ts', 'browser.ts', 'index.ts'];

const files = readdirSync(src, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'));
const inside = (file, place) => file === place || file.startsWith(`${place}/`);
const placeOf = (file) =>
  Object.keys(layers)
    .filter((place) => inside(file, place))
    .sort((a, b) => b.length - a.length)[0];

const faults = [];
const edges = new Map();
for (const file of files) {
  const text = readFileSync(join(src, file), 'utf8');
  const place = placeOf(file);
  if (!place) faults.push(`${file}: belongs to no layer; name its folder in scripts/check-layers.mjs`);
  const targets = [];
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    const target = match[1];
    if (target.startsWith('.')) {
      const path = relative(src, resolve(dirname(join(src, file)), target));
      targets.push(path);
      const allowed = layers[place] ?? [];
      const ok = inside(path, place) || allowed.includes('*') || allowed.some((a) => inside(path, a));
      if (!ok) faults.push(`${file}: imports ${path}, which its layer "${place}" may not`);
    } else if (target.startsWith('node:') && !mayUseNode.some((p) => inside(file, p))) {
      faults.push(`${file}: imports ${target} outside ${mayUseNode.join(', ')}`);
    }
  }
  if (!mayUseDom.some((p) => inside(file, p)) && /\b(document|navigator|localStorage)\./.test(text)) {
    faults.push(`${file}: touches the DOM outside ${mayUseDom.join(', ')}`);
  }
  edges.set(file, targets);
}
for (const [file, targets] of edges)
  for (const target of targets)
    if (!notBelowRoots.some((p) => inside(file, p)) && notBelowRoots.some((p) => inside(target, p)))
      faults.push(`${file}: imports the composition root ${target}`);

const state = new Map();
const visit = (file, trail) => {
  if (state.get(file) === 'done') return;
  if (trail.includes(file)) {
    faults.push(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(' -> ')}`);
    return;
  }
  for (const target of edges.get(file) ?? []) visit(target, [...trail, file]);
  state.set(file, 'done');
};
for (const file of files) visit(file, []);

if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`layers: ${files.length} files, no upward import, no cycle`);
