import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VectorTarget } from '../../assembler/vector-assembler.ts';
import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { convGeometry } from '../../graph/geometry.ts';
import type { ValueId } from '../../graph/graph.ts';
import { activationLayer, batchNormLayer, convLayer, linearLayer } from '../../graph/layers.ts';
import { initialWeights } from '../../model/initialize.ts';
import { bindParameters } from '../bind.ts';
import { lower } from './lower.ts';
import { lowerTraining } from './lower-training.ts';
import { place } from './placement.ts';
import type { Program } from './program.ts';

const target: VectorTarget = {
  name: 'wasm',
  lanes: 4,
  vectorRegisters: 16,
  intRegisters: 16,
  pointerBytes: 4,
  features: new Set(),
};

interface Lowering {
  readonly program: Program;
  readonly ops: readonly string[];
  readonly placement: ReturnType<typeof place>;
}

function lowering(build: (b: GraphBuilder, x: ValueId) => void): Lowering {
  const b = graphBuilder('test');
  build(b, b.input('x', [2, 4, 4, 8]));
  const graph = b.finish();
  const parameters = bindParameters(graph, initialWeights(graph, 'timm', 1));
  const program = lower(graph, parameters, target, 'f32', { training: lowerTraining });
  return {
    program,
    ops: program.tasks.map((task) => task.ops),
    placement: place(graph, program, parameters),
  };
}

const point = convGeometry({ kernel: 1 });
const conv = (b: GraphBuilder, name: string, x: ValueId): ValueId => convLayer(b, name, x, 8, point);
const relu = (b: GraphBuilder, name: string, x: ValueId): ValueId => activationLayer(b, name, x, 'relu');
const sum = (b: GraphBuilder, name: string, ...x: ValueId[]): ValueId => b.node('sum', name, {}, x);

describe('what is folded into what', () => {
  test('activation and a sum of two into the convolution that comes last', () => {
    const { ops, program } = lowering((b, x) => {
      const a = conv(b, 'a', x);
      b.output('y', relu(b, 'r', sum(b, 's', conv(b, 'c', a), a)));
    });
    assert.deepEqual(ops, ['conv2d', 'conv2d+sum+relu']);
    assert.deepEqual(program.tasks[1]?.inputs.length, 2);
  });

  test('nothing into a value that is needed elsewhere', () => {
    const { ops } = lowering((b, x) => {
      const a = conv(b, 'a', x);
      b.output('a', a);
      const c = conv(b, 'c', x);
      b.output('y', sum(b, 's', relu(b, 'r', a), relu(b, 'r2', c), c));
    });
    assert.deepEqual(ops, ['conv2d', 'conv2d', 'relu', 'relu+sum']);
  });

  test('a value summed with itself keeps its convolution apart', () => {
    const { ops } = lowering((b, x) => {
      const a = conv(b, 'a', x);
      b.output('y', sum(b, 's', a, a));
    });
    assert.deepEqual(ops, ['conv2d', 'sum']);
  });

  test('the branches of a training block: norms start chains, the sum ends one of them', () => {
    const { ops } = lowering((b, x) => {
      const branches = ['a', 'c'].map((name) => batchNormLayer(b, `${name}.bn`, conv(b, name, x)));
      b.output('y', relu(b, 'r', sum(b, 's', ...branches, batchNormLayer(b, 'skip', x))));
    });
    assert.deepEqual(ops, ['conv2d', 'batchNorm', 'conv2d', 'batchNorm', 'batchNorm+sum+relu']);
  });

  test('squeeze-excite, with flatten and a sum of one as nothing', () => {
    const { ops } = lowering((b, x) => {
      const squeezed = relu(b, 'r', conv(b, 'a', b.node('globalAveragePool', 'pool', {}, [x])));
      const gate = activationLayer(b, 'gate', conv(b, 'c', squeezed), 'sigmoid');
      const y = relu(b, 'r2', b.node('multiply', 'm', {}, [sum(b, 'one', x), gate]));
      b.output('y', linearLayer(b, 'fc', b.node('flatten', 'flat', {}, [y]), 3));
    });
    assert.deepEqual(ops, ['globalAveragePool', 'conv2d+relu', 'conv2d+sigmoid', 'multiply+relu', 'linear']);
  });

  test('a chain ends where the shape is seen differently', () => {
    const { ops } = lowering((b, x) => {
      const flat = b.node('flatten', 'flat', {}, [relu(b, 'r', x)]);
      b.output('y', batchNormLayer(b, 'bn', flat));
    });
    assert.deepEqual(ops, ['relu', 'batchNorm']);
  });
});

describe('updates', () => {
  /** Two parameters; each next one is read from `first`, and p is needed until `late`. */
  const twoUpdates = (size: number): Lowering =>
    lowering((b) => {
      const shape = [1, size, size, 8];
      const x = b.input('other', shape);
      const [p, q] = [b.parameter('p', shape, 'state'), b.parameter('q', shape, 'state')];
      const first = b.node('softmax', 'first', {}, [sum(b, 'both', x, q)]);
      const second = b.node('softmax', 'second', {}, [first]);
      b.output('y', b.node('softmax', 'third', {}, [sum(b, 'late', second, p)]));
      b.update(p, sum(b, 'next p', p, first));
      b.update(q, sum(b, 'next q', q, first));
    });

  test('large ones come as soon as what they read is there and what they renew was read', () => {
    const { program, placement } = twoUpdates(64);
    const names = program.tasks.map((task) => task.name);
    assert.deepEqual(names, ['both', 'first', 'next q', 'second', 'late', 'next p', 'third']);
    assert.equal(program.homes.size, 2);
    for (const value of program.homes.keys()) assert.equal(placement.values.get(value), undefined);
  });

  test('small ones come last, together with what does not need them', () => {
    const { program, ops } = twoUpdates(4);
    assert.deepEqual(ops, ['sum', 'softmax', 'softmax', 'sum', '1 softmax, 2 sum']);
    assert.equal(program.tasks.at(-1)?.name, 'third and 2 more');
    assert.equal(program.tasks.at(-1)?.plan.steps.length, 1);
    assert.equal(program.homes.size, 2);
  });
});

describe('memory', () => {
  const offsetOf = ({ program, placement }: Lowering, name: string): number => {
    const task = program.tasks.find((each) => each.name === name) ?? assert.fail(name);
    return placement.values.get(task.outputs[0] ?? assert.fail(name)) ?? assert.fail(name);
  };

  test('element-wise tasks overwrite what nothing needs any more', () => {
    const lowered = lowering((b, x) => {
      const p = b.node('softmax', 'p', {}, [x]);
      b.output('y', b.node('softmax', 'q', {}, [relu(b, 'r', p)]));
    });
    assert.equal(offsetOf(lowered, 'p'), offsetOf(lowered, 'r'));
    assert.equal(lowered.placement.bytes, 2 * 2 * 4 * 4 * 8 * 4);
  });

  test('an output and a value needed later are left alone', () => {
    const lowered = lowering((b, x) => {
      const p = b.node('softmax', 'p', {}, [x]);
      const r = relu(b, 'r', p);
      b.output('r', r);
      b.output('y', b.node('multiply', 'm', {}, [activationLayer(b, 'h', r, 'hardSwish'), p]));
    });
    assert.equal(new Set(['p', 'r', 'm'].map((name) => offsetOf(lowered, name))).size, 2);
    assert.notEqual(offsetOf(lowered, 'r'), offsetOf(lowered, 'm'));
  });
});
