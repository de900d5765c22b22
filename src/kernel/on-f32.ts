/** A plan made for f32 memory, on operands of which some are bf16: copies in scratch memory stand in for those. */
import { convertTiles } from './convert.ts';
import type { BufferName, Slot, TaskPlan, TileStep } from './plan.ts';
import { type StorageType, storageBytes } from './storage.ts';

export interface StoredOperand {
  readonly type: StorageType;
  /** Numbers it holds. */
  readonly count: number;
}

export interface StoredOperands {
  readonly inputs: readonly StoredOperand[];
  readonly output: StoredOperand;
}

const ALIGNMENT = 64;

export function onF32(plan: TaskPlan, { inputs, output }: StoredOperands): TaskPlan {
  const copies = new Map<BufferName, number>();
  let scratchBytes = plan.scratchBytes;
  const copyOf = (buffer: BufferName, count: number): void => {
    const offset = Math.ceil(scratchBytes / ALIGNMENT) * ALIGNMENT;
    copies.set(buffer, offset);
    scratchBytes = offset + count * storageBytes('f32');
  };
  const before: TileStep[] = inputs.map(({ type, count }, i) => {
    if (type === 'f32') return [];
    copyOf(`input${i}`, count);
    const copy = { buffer: 'scratch', offset: copies.get(`input${i}`) ?? 0 } as const;
    return convertTiles(count, type, { buffer: `input${i}`, offset: 0 }, 'f32', copy);
  });
  if (output.type !== 'f32') copyOf('output', output.count);
  const result = { buffer: 'scratch', offset: copies.get('output') ?? 0 } as const;
  const after =
    output.type === 'f32'
      ? []
      : convertTiles(output.count, 'f32', result, output.type, { buffer: 'output', offset: 0 });
  const moved = (slot: Slot): Slot => {
    const offset = typeof slot === 'number' ? undefined : copies.get(slot.buffer);
    return typeof slot === 'number' || offset === undefined
      ? slot
      : { buffer: 'scratch', offset: offset + slot.offset };
  };
  const steps = plan.steps.map((step) => step.map((tile) => ({ ...tile, slots: tile.slots.map(moved) })));
  return {
    ...plan,
    scratchBytes,
    steps: [before.flat(), ...steps, after].filter((step) => step.length > 0),
  };
}
