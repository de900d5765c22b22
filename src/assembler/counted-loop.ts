import type { ControlInstructions, Int, IntInstructions } from './vector-assembler.ts';

/** `loop` of every target, by what runs a body once or more while it counts an integer down to 0. */
export function countedLoop(
  a: IntInstructions & ControlInstructions,
  times: number | Int,
  body: () => void,
  countDown: (counter: Int, body: () => void) => void,
): void {
  if (typeof times === 'number' && times < 1) return;
  if (times === 1) {
    body();
    return;
  }
  const counter = a.newInt();
  a.moveInt(counter, times);
  if (typeof times === 'number') countDown(counter, body);
  else a.ifNonZero(counter, () => countDown(counter, body));
  a.freeInt(counter);
}
