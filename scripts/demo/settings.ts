import { parseArgs } from 'node:util';

/** How large the demonstration is. */
export interface DemoSettings {
  readonly out: string;
  readonly train: number;
  readonly val: number;
  /** Side of the pictures. */
  readonly size: number;
  readonly epochs: number;
  readonly batch: number;
  /** Width multipliers and depths of the four stages. */
  readonly widths: readonly number[];
  readonly pairs: readonly number[];
  readonly branches: number;
  /** Milliseconds for which the speed of each form is measured. */
  readonly benchMs: number;
}

const full: Omit<DemoSettings, 'out'> = {
  train: 4000,
  val: 400,
  size: 64,
  epochs: 12,
  batch: 16,
  widths: [0.5, 0.5, 0.5, 0.5],
  pairs: [1, 1, 1, 1],
  branches: 4,
  benchMs: 1000,
};

/** Seconds instead of a minute; it learns next to nothing. */
const quick: Omit<DemoSettings, 'out'> = {
  ...full,
  train: 64,
  val: 32,
  size: 32,
  epochs: 2,
  batch: 16,
  widths: [0.25, 0.125, 0.0625, 0.0625],
  pairs: [1, 1, 1, 1],
  branches: 2,
  benchMs: 50,
};

/** From the command line: `--quick`, `--out FOLDER`, `--epochs N`. */
export function demoSettings(args: readonly string[]): DemoSettings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      out: { type: 'string', default: 'runs/demo' },
      epochs: { type: 'string' },
    },
  });
  const base = values.quick ? quick : full;
  return { ...base, out: values.out, epochs: Number(values.epochs ?? base.epochs) };
}
