/**
 * How many output positions × vectors of channels a panel kernel should keep in registers, by a model of the
 * machine's ports: a step of one block costs as long as its multiply-adds, its loads, or the wait for the sum
 * that the next step adds to, whichever is longest.
 */
import type { TargetName, VectorTarget } from '../../assembler/vector-assembler.ts';
import { ACTIVATION_SCRATCH } from '../vector/activation.ts';

interface TileLimits {
  readonly productsPerCycle: number;
  readonly loadsPerCycle: number;
  /** Cycles from one addition to a sum to the next. */
  readonly latency: number;
  readonly mostPositions: number;
  readonly mostVectors: number;
  /** Of a single position, which needs many sums to hide their latency. */
  readonly mostVectorsAlone: number;
}

/** V8 spills when a block needs more than about 14 registers, and hoists loads: so smaller tiles in WebAssembly. */
const limits: Readonly<Record<TargetName, TileLimits>> = {
  avx512: {
    productsPerCycle: 2,
    loadsPerCycle: 2,
    latency: 4,
    mostPositions: 14,
    mostVectors: 6,
    mostVectorsAlone: 12,
  },
  avx2: {
    productsPerCycle: 2,
    loadsPerCycle: 3,
    latency: 4,
    mostPositions: 12,
    mostVectors: 3,
    mostVectorsAlone: 10,
  },
  'wasm-relaxed': {
    productsPerCycle: 2,
    loadsPerCycle: 3,
    latency: 4,
    mostPositions: 4,
    mostVectors: 4,
    mostVectorsAlone: 8,
  },
  wasm: {
    productsPerCycle: 2,
    loadsPerCycle: 3,
    latency: 4,
    mostPositions: 4,
    mostVectors: 4,
    mostVectorsAlone: 8,
  },
};

/** Cycles to start a block, and to store a vector of it: more where a pixel is not written in one go. */
const BLOCK_CYCLES = 12;
const STORE_CYCLES = 1.5;
const PARTIAL_STORE_CYCLES = 3;
/** What a load costs even where it hides. */
const LOAD_CYCLES = 0.08;
/** A panel larger than this comes from the second cache again for each block, at so many bytes a cycle. */
const NEAR_BYTES = 2 ** 15;
const FAR_BYTES_A_CYCLE = 180;

export interface PanelTile {
  /** Output positions a block has at most. */
  readonly positions: number;
  /** Vectors in a panel. */
  readonly vectors: number;
  /** Estimated for the whole problem. */
  readonly cycles: number;
}

export interface PanelProblem {
  /** Output positions in a line. */
  readonly positions: number;
  /** Vectors of output channels. */
  readonly vectors: number;
  /** Products that one output number sums. */
  readonly steps: number;
}

/** V8 has 15 registers to give, and wants one for each number it has loaded ahead. */
const WASM_REGISTERS = 14;

function fits(target: VectorTarget, positions: number, vectors: number): boolean {
  const sums = positions * vectors;
  if (target.pointerBytes === 4) return sums + vectors + positions <= WASM_REGISTERS;
  const operands = positions === 1 ? 1 : vectors + 1;
  return sums + Math.max(operands, ACTIVATION_SCRATCH) <= target.vectorRegisters;
}

function panelCycles(
  target: VectorTarget,
  positions: number,
  vectors: number,
  problem: PanelProblem,
): number {
  const { productsPerCycle, loadsPerCycle, latency } = limits[target.name];
  const store = vectors === problem.vectors ? STORE_CYCLES : PARTIAL_STORE_CYCLES;
  const stepBytes = vectors * target.lanes * 4;
  const far = problem.steps * stepBytes > NEAR_BYTES ? stepBytes / FAR_BYTES_A_CYCLE : 0;
  const block = (rows: number): number => {
    const step = Math.max((rows * vectors) / productsPerCycle, (rows + vectors) / loadsPerCycle, latency);
    return (
      problem.steps * (step + LOAD_CYCLES * (rows + vectors) + far) + BLOCK_CYCLES + store * rows * vectors
    );
  };
  // The parts that evenParts makes, without making them: this runs for every candidate.
  const parts = Math.ceil(problem.positions / positions);
  const rows = Math.floor(problem.positions / parts);
  const larger = problem.positions - rows * parts;
  return larger * block(rows + 1) + (parts - larger) * block(rows);
}

/** Every tile that fits the registers, cheapest first. */
export function panelTiles(target: VectorTarget, problem: PanelProblem): readonly PanelTile[] {
  const { mostPositions, mostVectors, mostVectorsAlone } = limits[target.name];
  const tiles: PanelTile[] = [];
  for (let vectors = 1; vectors <= Math.min(mostVectorsAlone, problem.vectors); vectors++) {
    for (let positions = 1; positions <= Math.min(mostPositions, problem.positions); positions++) {
      if (!fits(target, positions, vectors) || (positions > 1 && vectors > mostVectors)) continue;
      const whole = Math.floor(problem.vectors / vectors);
      const rest = problem.vectors - whole * vectors;
      const cycles =
        whole * panelCycles(target, positions, vectors, problem) +
        (rest > 0 ? panelCycles(target, positions, rest, problem) : 0);
      tiles.push({ positions, vectors, cycles });
    }
  }
  return tiles.sort((a, b) => a.cycles - b.cycles);
}

/** A run of panels of one width. */
export interface PanelGroup {
  readonly firstVector: number;
  readonly vectors: number;
  readonly count: number;
  /** Lanes of the last panel's last vector that are channels. */
  readonly lastLanes: number;
}

/**
 * All output channels in panels of one width. A last panel that is narrower, or whose last vector is partial,
 * is a group of its own.
 */
export function panelGroups(outChannels: number, lanes: number, width: number): readonly PanelGroup[] {
  const groups: PanelGroup[] = [];
  const whole = Math.floor(outChannels / (width * lanes));
  if (whole > 0) groups.push({ firstVector: 0, vectors: width, count: whole, lastLanes: lanes });
  const rest = outChannels - whole * width * lanes;
  if (rest > 0) {
    const vectors = Math.ceil(rest / lanes);
    const lastLanes = rest - (vectors - 1) * lanes;
    groups.push({ firstVector: whole * width, vectors, count: 1, lastLanes });
  }
  return groups;
}
