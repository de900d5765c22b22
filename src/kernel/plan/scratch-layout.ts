/** Scratch memory of plans that are put together from plans: who has which stretch of it. */
import { type PlacedPlan, placedSteps } from './join-plans.ts';
import type { BufferPlace, TaskPlan, TileStep } from './plan.ts';

const ALIGNMENT = 64;

/** Bytes up to the next multiple of 64. */
export function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Hands out scratch memory, stretch after stretch. */
export interface ScratchLayout {
  /** @returns where `numbers` f32 may lie, in bytes */
  readonly take: (numbers: number) => number;
  readonly bytes: () => number;
}

export function scratchLayout(): ScratchLayout {
  let end = 0;
  return {
    take: (numbers) => {
      const start = end;
      end += alignUp(numbers * 4);
      return start;
    },
    bytes: () => end,
  };
}

export function scratchAt(offset: number): BufferPlace {
  return { buffer: 'scratch', offset };
}

/** The steps of a plan without constants on other buffers, with scratch memory of its own. */
export function partSteps(
  plan: TaskPlan,
  places: PlacedPlan['places'],
  layout: ScratchLayout,
): readonly TileStep[] {
  const scratch = scratchAt(layout.take(plan.scratchBytes / 4));
  return placedSteps({ plan, places: { ...places, scratch } });
}
