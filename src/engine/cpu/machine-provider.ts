import type { Machine } from '../../assembler/machine.ts';
import type { VectorTarget } from '../../assembler/vector-assembler.ts';

/** A kind of machine that a platform offers. */
export interface MachineProvider {
  readonly target: VectorTarget;
  /** Most bytes one session may take. */
  readonly maximumBytes: number;
  /** Whether several threads can run on one of its machines. */
  readonly canShare: boolean;
  /** A machine for one session that will take `bytes`. @throws EngineError where the system refuses */
  readonly create: (bytes: number, shared: boolean) => Machine;
}
