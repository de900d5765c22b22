/** Names of kernels say everything that their code depends on: machine code of kernels is compared by name. */
import assert from 'node:assert/strict';
import { systemV } from '../../src/assembler/x64/registers.ts';
import { X64Code } from '../../src/assembler/x64/x64-code.ts';
import type { X64Target } from '../../src/assembler/x64/x64-target.ts';
import type { TaskPlan } from '../../src/kernel/plan/plan.ts';

/** @param leastRepeated names that must come up again at least so often, or nothing was compared */
export function assertOneCodePerName(
  plans: Iterable<readonly [target: X64Target, plan: TaskPlan]>,
  leastRepeated = 20,
): void {
  const codes = new Map<string, Buffer>();
  let repeated = 0;
  for (const [target, plan] of plans)
    for (const { kernel } of plan.steps.flat()) {
      const code = new X64Code({ target, convention: systemV, futex: false });
      code.kernel(kernel.name, kernel.generate);
      const bytes = Buffer.from(code.finish().bytes);
      const known = codes.get(kernel.name);
      if (known !== undefined) repeated++;
      assert.ok(known === undefined || known.equals(bytes), `two codes are named ${kernel.name}`);
      codes.set(kernel.name, bytes);
    }
  assert.ok(repeated > leastRepeated && codes.size > 100, `${codes.size} names, ${repeated} came again`);
}
