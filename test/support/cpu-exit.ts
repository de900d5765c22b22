/** Run as a process of its own: leaves sessions open and helpers asleep, and must end by itself. */
import { graphBuilder } from '../../src/graph/builder.ts';
import { zeros } from '../../src/tensor/tensor.ts';
import { engine, skipTarget, targets } from './cpu.ts';

const b = graphBuilder('small');
b.output('y', b.node('softmax', 'p', {}, [b.input('x', [64, 1000])]));
const graph = b.finish();
const start = performance.now();
for (const target of targets) {
  if (skipTarget(target) !== false) continue;
  const session = await engine.compile(graph, new Map(), { target, threads: 3 });
  for (let i = 0; i < 100; i++) {
    await session.run({ x: zeros([64, 1000]) });
    if (i % 25 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
console.log(JSON.stringify({ elapsed: performance.now() - start }));
