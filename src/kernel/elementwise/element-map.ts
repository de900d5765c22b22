/** Functions of several tensors at one place, to one or more: gradients of activations, steps of optimizers. */
import {
  atIndex,
  type Int,
  type Vec,
  type VectorAssembler,
  type VectorTarget,
} from '../../assembler/vector-assembler.ts';
import { type BufferName, type KernelSpec, outputName, type TaskPlan, type Tile } from '../plan/plan.ts';
import { countBySlot } from '../vector/emit.ts';
import { type Part, partsOf } from '../vector/vector-span.ts';

export interface ElementMap {
  /** Says everything that `prepare` and `emit` depend on. */
  readonly name: string;
  /** Elements of each input and output. */
  readonly count: number;
  readonly inputs: readonly BufferName[];
  readonly outputs: number;
  /** Short vectors that every element sees whole. */
  readonly shared: readonly BufferName[];
  readonly flops: number;
  /** Registers that hold what elements share, made once a tile from pointers to `shared`. */
  readonly prepare: (a: VectorAssembler, shared: readonly Int[]) => readonly Vec[];
  /** One vector of each output from one of each input; results may take the inputs' registers, which are freed after. */
  readonly emit: (a: VectorAssembler, inputs: readonly Vec[], prepared: readonly Vec[]) => readonly Vec[];
}

/** f32 of each tensor in a tile: a multiple of what one turn of the loop takes on any target. */
const TILE_ELEMENTS = 4096;
const VECTORS = 4;

/** At any element all inputs are read before an output is written, and read only once: outputs may overwrite inputs. */
export function planElementMap(target: VectorTarget, map: ElementMap): TaskPlan {
  const group = VECTORS * target.lanes;
  const tiles: Tile[] = [];
  for (let start = 0; start < map.count; start += TILE_ELEMENTS) {
    const count = Math.min(TILE_ELEMENTS, map.count - start);
    const at = (buffer: BufferName) => ({ buffer, offset: start * 4 });
    tiles.push({
      kernel: mapKernel(target, map, count % group),
      slots: [
        Math.floor(count / group),
        ...map.inputs.map(at),
        ...Array.from({ length: map.outputs }, (_, i) => at(outputName(i))),
        ...map.shared.map((buffer) => ({ buffer, offset: 0 })),
      ],
    });
  }
  return { constants: [], scratchBytes: 0, steps: [tiles], flops: map.flops * map.count };
}

function mapKernel(target: VectorTarget, map: ElementMap, rest: number): KernelSpec {
  return {
    name: `f32_${map.name}_${rest}__${target.name}`,
    generate: (a) => {
      let slot = 2;
      const take = (count: number): Int[] => Array.from({ length: count }, () => a.slot(slot++));
      const inputs = take(map.inputs.length);
      const outputs = take(map.outputs);
      const shared = take(map.shared.length);
      const prepared = map.prepare(a, shared);
      a.freeInt(...shared);
      const element = a.int(0);
      const emit = (parts: readonly Part[]): void => {
        for (const { offset, lanes } of parts) {
          const values = inputs.map((input) => {
            const value = a.newVec();
            a.load(value, atIndex(input, element, 1, offset), lanes);
            return value;
          });
          map.emit(a, values, prepared).forEach((value, i) => {
            const output = outputs[i];
            if (output) a.store(atIndex(output, element, 1, offset), value, lanes);
          });
          a.freeVec(...values);
        }
      };
      countBySlot(a, 1, () => {
        emit(partsOf(VECTORS * a.lanes, a.lanes));
        a.addInt(element, VECTORS * a.lanes * 4);
      });
      if (rest > 0) emit(partsOf(rest, a.lanes));
      a.freeVec(...prepared);
      a.freeInt(element, ...inputs, ...outputs);
    },
  };
}
