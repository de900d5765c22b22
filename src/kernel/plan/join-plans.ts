import type { TaskPlan, TileStep } from './plan.ts';
import { type BufferPlaces, renameTiles } from './rename-buffers.ts';

/** A plan as part of a larger one: where its buffers lie there. Its scratch memory must be placed too. */
export interface PlacedPlan {
  readonly plan: TaskPlan;
  readonly places: BufferPlaces;
}

export function placedSteps({ plan, places }: PlacedPlan): readonly TileStep[] {
  return plan.steps.map((tiles) => renameTiles(tiles, places));
}

/** Plans that do not depend on each other: their first steps together, then their second ones, … */
export function sideBySide(plans: readonly PlacedPlan[]): readonly TileStep[] {
  return stepsSideBySide(plans.map(placedSteps));
}

/** The same of their steps. */
export function stepsSideBySide(all: readonly (readonly TileStep[])[]): readonly TileStep[] {
  const count = Math.max(0, ...all.map((steps) => steps.length));
  return Array.from({ length: count }, (_, i) => all.flatMap((steps) => steps[i] ?? []));
}
