import type { OpKind } from '../graph.ts';
import { gradientOps } from './gradient-ops.ts';
import { lossOps } from './loss-ops.ts';
import { mergeOps } from './merge-ops.ts';
import { netOps } from './net-ops.ts';
import { normOps } from './norm-ops.ts';
import type { OpDefinitions } from './op-definition.ts';
import { shapeOps } from './shape-ops.ts';
import { updateOps } from './update-ops.ts';

export type { OpDefinition } from './op-definition.ts';

/** Adding an op is one row in one of these tables, plus a rule in each engine's table. */
export const ops: OpDefinitions<OpKind> = {
  ...netOps,
  ...shapeOps,
  ...gradientOps,
  ...normOps,
  ...mergeOps,
  ...lossOps,
  ...updateOps,
};
