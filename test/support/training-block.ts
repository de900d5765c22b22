import type { GraphBuilder } from '../../src/graph/builder.ts';
import { convGeometry, type GeometryOptions, pointGeometry } from '../../src/graph/geometry.ts';
import type { ValueId } from '../../src/graph/graph.ts';

export interface BlockSizes {
  readonly from: number;
  readonly to: number;
  readonly geometry: GeometryOptions;
  readonly branches: number;
  readonly scale?: boolean;
  readonly skip?: boolean;
  readonly fn?: 'relu' | null;
}

/** A block as it trains: the skip first, then the scale branch, then k convolutions. @returns y */
export function trainingBlock(b: GraphBuilder, name: string, x: ValueId, sizes: BlockSizes): ValueId {
  const { from, to, branches, scale = false, skip = false, fn = 'relu' } = sizes;
  const geometry = convGeometry(sizes.geometry);
  const own = [...(scale ? [pointGeometry(geometry)] : []), ...Array(branches).fill(geometry)];
  const convs = own.map((g, i) => {
    const weight = b.parameter(`${name}.${i}.weight`, [to, from / g.groups, ...g.kernel], 'weight');
    return b.node('conv2d', `${name}.${i}`, { geometry: g }, [x, weight]);
  });
  const operands = [...(skip ? [x] : []), ...convs];
  const vectors = operands.map((_, i) =>
    (['gamma', 'beta', 'mean', 'variance'] as const).map((role) =>
      b.parameter(`${name}.bn${i}.${role}`, [to], role),
    ),
  );
  const inputs = operands.flatMap((id, i) => [id, ...(vectors[i] ?? []).slice(0, 2)]);
  const [y = x, ...statistics] = b.results('normSum', name, { eps: 1e-5, fn }, inputs);
  statistics.forEach((id, i) => {
    const average = vectors[i >> 1]?.[2 + (i % 2)] ?? id;
    const factor = i % 2 ? 1.25 : 1;
    b.update(average, b.node('lerp', `${name}.running${i}`, { rate: 0.1, factor }, [average, id]));
  });
  return y;
}
