import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceEngine } from '../src/engine/reference/reference-engine.ts';
import { type ActivationName, activations } from '../src/graph/activations.ts';
import type { Padding, Pair, WindowGeometry } from '../src/graph/geometry.ts';
import { type CheckedGraph, type NetOpKind, type Node, valueAt } from '../src/graph/graph.ts';
import { isNetNode } from '../src/graph/node-rules.ts';
import { netOps } from '../src/graph/ops/net-ops.ts';
import { elementCount, type Shape, type Tensor } from '../src/tensor/tensor.ts';
import { channelCounts } from './cases/convolution-cases.ts';
import { caseError, caseGraph, caseValues, kinkDistance, type OpCase, runCase } from './cases/op-case.ts';
import { opCases } from './cases/ops.ts';

/** One output element from its definition: a function of its index, reading inputs by index. */
type Element = (at: readonly number[]) => number;
type Read = (at: readonly number[]) => number;
interface Formula {
  readonly shape: Shape;
  readonly element: Element;
}
type FormulaTable = { readonly [K in NetOpKind]: (node: Node<K>, x: readonly Tensor[]) => Formula };

/** Reads an element by index, 0 outside: zero padding. */
function reader(tensor: Tensor | undefined): Read {
  const { shape, data } = tensor ?? { shape: [], data: [] };
  return (at) => {
    let offset = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      const [index = 0, size = 0] = [at[axis], shape[axis]];
      if (index < 0 || index >= size) return 0;
      offset = offset * size + index;
    }
    return data[offset] ?? Number.NaN;
  };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
const shapeOf = (tensor: Tensor | undefined): Shape => tensor?.shape ?? [];

/** Where windows begin along an axis, found by sliding one until it no longer fits. */
function starts(size: number, window: WindowGeometry, axis: 0 | 1): readonly number[] {
  const { kernel, stride, dilation, padding } = window;
  const reach = (kernel[axis] - 1) * dilation[axis];
  const found: number[] = [];
  const after = axis === 0 ? padding[2] : padding[3];
  for (let at = -padding[axis]; at + reach < size + after; at += stride[axis]) found.push(at);
  return found;
}

function slide([n = 0, h = 0, w = 0]: Shape, window: WindowGeometry, channels: number) {
  const [tops, lefts] = [starts(h, window, 0), starts(w, window, 1)];
  const taps = range(window.kernel[0]).flatMap((i) => range(window.kernel[1]).map((j): Pair => [i, j]));
  return {
    shape: [n, tops.length, lefts.length, channels],
    /** Input rows and columns under the window of an output, with their place in the kernel. */
    under: (row: number, column: number) =>
      taps.map(([i, j]) => ({
        i,
        j,
        y: (tops[row] ?? 0) + i * window.dilation[0],
        x: (lefts[column] ?? 0) + j * window.dilation[1],
      })),
  };
}

const sigmoid = (x: number): number => (Math.tanh(x / 2) + 1) / 2;
const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const functions: { readonly [F in ActivationName]: (x: number) => number } = {
  relu: (x) => Math.max(x, 0),
  shiftedRelu: (x) => Math.max(x + 1, 0) - 1,
  relu6: (x) => clamp(x, 0, 6),
  sigmoid,
  hardSigmoid: (x) => clamp(x + 3, 0, 6) / 6,
  hardSwish: (x) => (x * clamp(x + 3, 0, 6)) / 6,
  silu: (x) => x * sigmoid(x),
};

const formulas: FormulaTable = {
  conv2d: ({ attrs: { geometry } }, [x, weight, bias]) => {
    const [outChannels = 0, inner = 0] = shapeOf(weight);
    const { shape, under } = slide(shapeOf(x), geometry, outChannels);
    const [readX, readWeight, readBias] = [reader(x), reader(weight), reader(bias)];
    const perGroup = outChannels / geometry.groups;
    return {
      shape,
      element: ([n = 0, row = 0, column = 0, o = 0]) =>
        (bias ? readBias([o]) : 0) +
        sum(
          under(row, column).flatMap((tap) =>
            range(inner).map((c) => {
              const channel = Math.floor(o / perGroup) * inner + c;
              return readX([n, tap.y, tap.x, channel]) * readWeight([o, c, tap.i, tap.j]);
            }),
          ),
        ),
    };
  },
  batchNorm: ({ attrs }, [x, gamma, beta, mean, variance]) => ({
    shape: shapeOf(x),
    element: (at) => {
      const c = [at.at(-1) ?? 0];
      const centred = reader(x)(at) - reader(mean)(c);
      return (centred / Math.sqrt(reader(variance)(c) + attrs.eps)) * reader(gamma)(c) + reader(beta)(c);
    },
  }),
  sum: (_, x) => ({ shape: shapeOf(x[0]), element: (at) => sum(x.map((term) => reader(term)(at))) }),
  multiply: (_, [x, y]) => ({
    shape: shapeOf(x),
    element: (at) => {
      const gate = shapeOf(y).map((size, axis) => (size === 1 ? 0 : (at[axis] ?? 0)));
      return reader(x)(at) * reader(y)(gate);
    },
  }),
  activation: ({ attrs }, [x]) => ({
    shape: shapeOf(x),
    element: (at) => functions[attrs.fn](reader(x)(at)),
  }),
  globalAveragePool: (_, [x]) => {
    const [n = 0, h = 0, w = 0, channels = 0] = shapeOf(x);
    const places = range(h).flatMap((y) => range(w).map((column): Pair => [y, column]));
    return {
      shape: [n, 1, 1, channels],
      element: ([image = 0, , , c = 0]) =>
        sum(places.map(([y, column]) => reader(x)([image, y, column, c]))) / places.length,
    };
  },
  pool2d: ({ attrs: { mode, window, countPadding } }, [x]) => {
    const [, h = 0, w = 0, channels = 0] = shapeOf(x);
    const { shape, under } = slide(shapeOf(x), window, channels);
    return {
      shape,
      element: ([n = 0, row = 0, column = 0, c = 0]) => {
        const all = under(row, column);
        const inside = all.filter((tap) => tap.y >= 0 && tap.y < h && tap.x >= 0 && tap.x < w);
        const values = inside.map((tap) => reader(x)([n, tap.y, tap.x, c]));
        if (mode === 'max') return Math.max(...values);
        return sum(values) / (countPadding ? all.length : inside.length);
      },
    };
  },
  flatten: (_, [x]) => {
    const [n = 0, ...rest] = shapeOf(x);
    const size = elementCount(rest);
    return { shape: [n, size], element: ([row = 0, i = 0]) => x?.data[row * size + i] ?? Number.NaN };
  },
  linear: (_, [x, weight, bias]) => {
    const [outputs = 0, inputs = 0] = shapeOf(weight);
    return {
      shape: [shapeOf(x)[0] ?? 0, outputs],
      element: ([n = 0, o = 0]) =>
        sum(range(inputs).map((i) => reader(x)([n, i]) * reader(weight)([o, i]))) +
        (bias ? reader(bias)([o]) : 0),
    };
  },
  softmax: (_, [x]) => ({
    shape: shapeOf(x),
    element: (at) => {
      const value = reader(x)(at);
      const others = range(shapeOf(x).at(-1) ?? 0).map((c) => reader(x)([...at.slice(0, -1), c]));
      return 1 / sum(others.map((other) => Math.exp(other - value)));
    },
  }),
  resizeBilinear: ({ attrs: { height, width, alignCorners } }, [x]) => {
    const [n = 0, h = 0, w = 0, channels = 0] = shapeOf(x);
    // A tent of width 2 around the sampled place, with the picture's edge repeated outside.
    const tent = (out: number, outSize: number, size: number): readonly number[] => {
      const corner = outSize === 1 ? 0 : (out * (size - 1)) / (outSize - 1);
      const centre = ((out + 0.5) * size) / outSize - 0.5;
      const place = alignCorners ? corner : clamp(centre, 0, size - 1);
      return range(size).map((i) => Math.max(0, 1 - Math.abs(i - place)));
    };
    return {
      shape: [n, height, width, channels],
      element: ([image = 0, row = 0, column = 0, c = 0]) =>
        sum(
          tent(row, height, h).flatMap((v, y) =>
            tent(column, width, w).map((u, i) => v * u * reader(x)([image, y, i, c])),
          ),
        ),
    };
  },
  concat: (_, x) => {
    const owner = x.flatMap((part) => range(shapeOf(part).at(-1) ?? 0).map((c) => ({ part, c })));
    return {
      shape: [...shapeOf(x[0]).slice(0, -1), owner.length],
      element: (at) => {
        const { part, c } = owner[at.at(-1) ?? 0] ?? assert.fail('no such channel');
        return reader(part)([...at.slice(0, -1), c]);
      },
    };
  },
};

function formula<K extends NetOpKind>(node: Node<K>, x: readonly Tensor[]): Formula {
  const rule: FormulaTable[K] = formulas[node.kind];
  return rule(node, x);
}

function byFormula(c: OpCase, graph: CheckedGraph): Tensor {
  const { inputs, weights } = caseValues(c, graph);
  const [node] = graph.nodes;
  assert.ok(node && isNetNode(node) && graph.nodes.length === 1, `${c.name}: builds one node`);
  const operands = node.inputs.map((id) => {
    const { name } = valueAt(graph, id);
    return inputs[name] ?? weights.get(name) ?? assert.fail(`${c.name}: no values for ${name}`);
  });
  const { shape, element } = formula(node, operands);
  const data = new Float64Array(elementCount(shape));
  for (let i = 0; i < data.length; i++) {
    const at: number[] = [];
    let rest = i;
    for (const size of [...shape].reverse()) {
      at.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    data[i] = element(at);
  }
  return { shape, data };
}

describe('op cases', () => {
  test('names are unique, and every op, activation, channel count and window is there', () => {
    assert.equal(new Set(opCases.map((c) => c.name)).size, opCases.length);
    const nodes = opCases.flatMap((c) => caseGraph(c).nodes);
    assert.deepEqual(new Set(nodes.map((node) => node.kind)), new Set(Object.keys(netOps)));
    const used = nodes.flatMap((node) => (node.kind === 'activation' ? [node.attrs.fn] : []));
    assert.deepEqual(new Set(used), new Set(Object.keys(activations)));
    const geometries = nodes.flatMap((node) => (node.kind === 'conv2d' ? [node.attrs.geometry] : []));
    const has = (what: (g: (typeof geometries)[number]) => string): ReadonlySet<string> =>
      new Set(geometries.map(what));
    const everyOne = (found: ReadonlySet<string>, wanted: readonly string[]): void =>
      assert.deepEqual(
        wanted.filter((each) => !found.has(each)),
        [],
      );
    everyOne(
      has((g) => g.kernel.join()),
      ['1,1', '3,3', '5,5', '7,7', '3,5'],
    );
    everyOne(
      has((g) => `${g.stride} ${g.dilation}`),
      ['1,1 1,1', '2,2 2,2', '3,3 4,4'],
    );
    const depthwise = nodes.flatMap((node) =>
      node.kind === 'conv2d' ? [String(node.attrs.geometry.groups)] : [],
    );
    everyOne(new Set(depthwise), channelCounts.map(String));
    const uneven = ([top, left, bottom, right]: Padding): boolean => top !== bottom || left !== right;
    assert.ok(geometries.some((g) => uneven(g.padding)));
  });

  test('inputs keep away from kinks', () => {
    for (const c of opCases) {
      const { inputs } = caseValues(c, caseGraph(c));
      const values = Object.values(inputs).flatMap(({ data }) => [...data]);
      if (c.kinks === 'ties') {
        const sorted = values.sort((a, b) => a - b);
        const gaps = sorted.slice(1).map((value, i) => value - (sorted[i] ?? value));
        assert.ok(
          gaps.every((gap) => gap > kinkDistance),
          c.name,
        );
      } else
        for (const kink of c.kinks)
          assert.ok(
            values.every((value) => Math.abs(value - kink) > kinkDistance),
            c.name,
          );
    }
  });

  test('the reference engine computes each in f64 as its definition says, and f32 rounds that once', async () => {
    let worst = 0;
    for (const c of opCases) {
      const expected = byFormula(c, caseGraph(c));
      const wide = await runCase(referenceEngine, c, 'f64');
      assert.deepEqual(wide.shape, expected.shape, c.name);
      assert.ok(wide.data instanceof Float64Array);
      const error = caseError(c, 'f64', wide, expected);
      assert.ok(error <= 1, `${c.name}: ${error} of the tolerance`);
      worst = Math.max(worst, error);
      const narrow = await runCase(referenceEngine, c, 'f32');
      assert.ok(
        narrow.data.every((value, i) => value === Math.fround(wide.data[i] ?? Number.NaN)),
        c.name,
      );
    }
    assert.ok(worst > 0);
  });
});
