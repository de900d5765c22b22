import type { OpKind } from './graph.ts';
import { netOps } from './net-ops.ts';
import type { OpDefinition } from './op-definition.ts';
import { trainingOps } from './training-ops.ts';

export type { OpDefinition } from './op-definition.ts';

/** Adding an op is one row here plus a rule in each engine's table. */
export const ops: { readonly [K in OpKind]: OpDefinition<K> } = { ...netOps, ...trainingOps };
