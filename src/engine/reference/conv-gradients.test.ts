/**
 * Gradients as adjoints: a convolution is linear in x and in w, so ⟨dx, r⟩ = ⟨dy, conv(r, w)⟩ and
 * ⟨dw, r⟩ = ⟨dy, conv(x, r)⟩ for any r, and only for the right dx and dw.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { caseGraph, caseValues, type OpCase, runCase } from '../../../test/cases/op-case.ts';
import { trainingConvolutionCases } from '../../../test/cases/training-convolution.ts';
import { createRandom, type Random } from '../../tensor/random.ts';
import { elementCount, type Shape, type Tensor } from '../../tensor/tensor.ts';
import { convolve } from './convolution.ts';
import { referenceEngine } from './reference-engine.ts';

function probe(shape: Shape, random: Random): Tensor {
  return { shape, data: Float64Array.from({ length: elementCount(shape) }, () => random.normal()) };
}

function dot(a: Tensor, b: Tensor): number {
  assert.deepEqual(a.shape, b.shape);
  let sum = 0;
  a.data.forEach((value, i) => {
    sum += value * (b.data[i] ?? Number.NaN);
  });
  return sum;
}

function operands(c: OpCase): readonly [Tensor, Tensor] {
  const { inputs, weights } = caseValues(c, caseGraph(c));
  const [first, second] = [...Object.values(inputs), ...weights.values()];
  return [first ?? assert.fail(c.name), second ?? assert.fail(c.name)];
}

const cases = (kind: OpCase['kind']): readonly OpCase[] => {
  const found = trainingConvolutionCases.filter((c) => c.kind === kind);
  assert.ok(found.length > 10);
  return found;
};

function assertEqual(found: number, expected: number, name: string): void {
  const scale = 1 + Math.abs(expected);
  assert.ok(Math.abs(found - expected) <= 1e-9 * scale, `${name}: ${found}, expected ${expected}`);
}

test('names are unique', () => {
  const names = trainingConvolutionCases.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('the gradient of a convolution by its input is its adjoint', async () => {
  const random = createRandom(3);
  for (const c of cases('conv2dInputGrad')) {
    const [dy, weight] = operands(c);
    const [node] = caseGraph(c).nodes;
    assert.ok(node?.kind === 'conv2dInputGrad');
    const dx = await runCase(referenceEngine, c, 'f64');
    for (let i = 0; i < 2; i++) {
      const r = probe(dx.shape, random);
      const y = probe(dy.shape, random);
      convolve(r, weight, undefined, node.attrs.geometry, y);
      assertEqual(dot(dx, r), dot(y, dy), c.name);
    }
  }
});

test('the gradient of a convolution by its weight is its adjoint', async () => {
  const random = createRandom(4);
  for (const c of cases('conv2dWeightGrad')) {
    const [x, dy] = operands(c);
    const [node] = caseGraph(c).nodes;
    assert.ok(node?.kind === 'conv2dWeightGrad');
    const dw = await runCase(referenceEngine, c, 'f64');
    for (let i = 0; i < 2; i++) {
      const r = probe(dw.shape, random);
      const y = probe(dy.shape, random);
      convolve(x, r, undefined, node.attrs.geometry, y);
      assertEqual(dot(dw, r), dot(y, dy), c.name);
    }
  }
});

test('matrix products, applied to a vector', async () => {
  const random = createRandom(5);
  /** op(matrix)·vector, or its transpose's. */
  const apply = ({ shape, data }: Tensor, transposed: boolean, vector: readonly number[]): number[] => {
    const [rows = 0, columns = 0] = shape;
    const result = new Array<number>(transposed ? columns : rows).fill(0);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const [to, from] = transposed ? [j, i] : [i, j];
        result[to] = (result[to] ?? 0) + (data[i * columns + j] ?? 0) * (vector[from] ?? Number.NaN);
      }
    return result;
  };
  for (const c of cases('matmul')) {
    const [a, b] = operands(c);
    const [node] = caseGraph(c).nodes;
    assert.ok(node?.kind === 'matmul');
    const { transposeA, transposeB } = node.attrs;
    const product = await runCase(referenceEngine, c, 'f64');
    const vector = Array.from({ length: product.shape[1] ?? 0 }, () => random.normal());
    const found = apply(product, false, vector);
    const expected = apply(a, transposeA, apply(b, transposeB, vector));
    assert.equal(found.length, expected.length);
    for (const [i, value] of found.entries()) assertEqual(value, expected[i] ?? Number.NaN, c.name);
  }
});
