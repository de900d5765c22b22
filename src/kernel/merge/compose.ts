/** Plans put together from plans: where parts keep things in scratch memory, and which of them run side by side. */
import type { BufferName, TaskPlan, TileStep } from '../plan.ts';
import { type BufferPlace, renameTiles } from '../rename-buffers.ts';

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

type Places = Partial<Readonly<Record<BufferName, BufferPlace>>>;

/** The steps of a plan without constants on other buffers, with scratch memory of its own. */
export function partSteps(plan: TaskPlan, places: Places, layout: ScratchLayout): readonly TileStep[] {
  const scratch = scratchAt(layout.take(plan.scratchBytes / 4));
  return plan.steps.map((tiles) => renameTiles(tiles, { ...places, scratch }));
}

/** Independent parts at the same time: the first steps of all, then the second ones, … */
export function sideBySide(parts: readonly (readonly TileStep[])[]): readonly TileStep[] {
  const most = Math.max(0, ...parts.map((steps) => steps.length));
  return Array.from({ length: most }, (_, i) => parts.flatMap((steps) => steps[i] ?? []));
}
