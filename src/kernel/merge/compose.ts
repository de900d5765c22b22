/** Plans put together from plans: where parts keep things in scratch memory. */
import { type PlacedPlan, placedSteps } from '../plan/join-plans.ts';
import type { TaskPlan, TileStep } from '../plan/plan.ts';
import type { BufferPlace } from '../plan/rename-buffers.ts';

const ALIGNMENT = 64;

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
      end += Math.ceil((numbers * 4) / ALIGNMENT) * ALIGNMENT;
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
