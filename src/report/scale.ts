/** From values to places on an axis, and the round numbers that are written beside it. */
export interface Scale {
  readonly place: (value: number) => number;
  /** Round values inside the domain, ascending. */
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
}

export type ScaleKind = 'linear' | 'log';

export type Range = readonly [from: number, to: number];

/** 1, 2 or 5 times a power of ten: the least that gives at most `count` steps. */
export function tickStep(length: number, count: number): number {
  const rough = length / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Digits after the point that tell ticks of this step apart. */
const digits = (step: number): number => Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));

function linearTicks([low, high]: Range, step: number): readonly number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

/** Powers of ten; none where there would be fewer than two. */
function powerTicks([low, high]: Range, count: number): readonly number[] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  if (last <= first) return [];
  const every = Math.ceil((last - first + 1) / count);
  return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
}

/** 0.00001 → `1e-5`; 20000 → `20k`; others with as many digits as the step needs. */
function formatTick(value: number, step: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3) return String(Number(value.toPrecision(4)).toExponential());
  if (size >= 1e6 && step >= 1e5) return `${trimmed(value / 1e6, step / 1e6)}M`;
  if (size >= 1e4 && step >= 1e2) return `${trimmed(value / 1e3, step / 1e3)}k`;
  return trimmed(value, step);
}

const trimmed = (value: number, step: number): string => value.toFixed(digits(step));

/**
 * @param domain the values at both ends; on a log scale above 0
 * @param range the places they get
 * @param count about how many ticks there is room for
 */
export function createScale(kind: ScaleKind, domain: Range, range: Range, count: number): Scale {
  const warp = kind === 'log' ? Math.log : (value: number): number => value;
  const [low, high] = domain;
  const [from, to] = [warp(low), warp(high)];
  const step = tickStep(high - low, count);
  const powers = kind === 'log' ? powerTicks(domain, count) : [];
  return {
    place: (value) => range[0] + ((warp(value) - from) / (to - from)) * (range[1] - range[0]),
    ticks: powers.length > 0 ? powers : linearTicks(domain, step),
    format: (value) =>
      formatTick(value, powers.length > 0 ? 10 ** Math.floor(Math.log10(value) + 1e-9) : step),
  };
}

/**
 * The least domain that holds all values and ends at ticks (linear), or with a little room (log). Values that are no
 * numbers, and on a log scale those not above 0, do not count. A single value gets room around it.
 */
export function domainOf(kind: ScaleKind, values: readonly number[], count: number): Range {
  const usable = values.filter((value) => Number.isFinite(value) && (kind === 'linear' || value > 0));
  if (usable.length === 0) return kind === 'log' ? [1, 10] : [0, 1];
  const [low, high] = usable.reduce<Range>(
    ([a, b], one) => [Math.min(a, one), Math.max(b, one)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
  if (kind === 'log') return low === high ? [low / 2, high * 2] : [low / 1.15, high * 1.15];
  if (low === high) return low === 0 ? [0, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  const step = tickStep(high - low, count);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}
