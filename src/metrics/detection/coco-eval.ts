import { type AreaRange, areaRanges, evaluatePair, type Match, type Truths } from './coco-match.ts';
import { type Detection, type DetectionTruth, type Measure, measures } from './ground-truth.ts';
import { precisionCurve, rankMatches } from './precision-curve.ts';

/** COCO's thresholds, computed as NumPy's linspace computes them: comparisons at the limit depend on it. */
const iouStep = (0.95 - 0.5) / 9;
const cocoIouThresholds: readonly number[] = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * iouStep,
);
const recallPoints: readonly number[] = Array.from({ length: 101 }, (_, i) => i * 0.01);
const maxDetections = [1, 10, 100] as const;

/** COCO's twelve numbers, 0 … 1; −1 where there is no ground truth of that size. */
export interface CocoStats {
  /** Average precision over IoU 0.50 … 0.95, at 0.50 and at 0.75, and by area: to 32², to 96², above. */
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly APs: number;
  readonly APm: number;
  readonly APl: number;
  /** Average recall with at most 1, 10 and 100 detections a picture, and by area. */
  readonly AR1: number;
  readonly AR10: number;
  readonly AR100: number;
  readonly ARs: number;
  readonly ARm: number;
  readonly ARl: number;
}

export interface CategoryStats {
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly AR100: number;
  /** Precision at recall 0, 0.01, … 1, IoU 0.50; empty where there is no ground truth. */
  readonly curve50: readonly number[];
}

export interface CocoResult {
  readonly stats: CocoStats;
  readonly categories: ReadonlyMap<number, CategoryStats>;
}

export interface CocoOptions {
  /** Default `box`. `mask` needs masks on both sides. */
  readonly measure?: Measure;
  /** Categories to evaluate; default all that appear in the ground truth. */
  readonly categories?: readonly number[];
}

/** Of one category within one range of areas: a list per picture, and how many objects count. */
interface Cell {
  readonly matches: Match[];
  positives: number;
}

/**
 * COCO's evaluation of detections, as pycocotools computes it.
 * @throws DataError when a mask is asked for and one side has none
 * @see https://github.com/cocodataset/cocoapi cocoeval
 */
export function cocoEval(
  truths: readonly DetectionTruth[],
  detections: readonly Detection[],
  options: CocoOptions = {},
): CocoResult {
  const measure = measures[options.measure ?? 'box'];
  const categories = options.categories ?? [...new Set(truths.map(({ category }) => category))];
  const [truthsOf, detectionsOf] = [grouped(truths), grouped(detections)];
  const found = [...categories]
    .sort((a, b) => a - b)
    .map((category) => {
      const cells = areaRanges.map((): Cell => ({ matches: [], positives: 0 }));
      const [own, guesses] = [truthsOf.get(category), detectionsOf.get(category)];
      for (const image of [...new Set([...(own?.keys() ?? []), ...(guesses?.keys() ?? [])])].sort(byId)) {
        const pair: Truths = { truths: own?.get(image) ?? [], detections: guesses?.get(image) ?? [] };
        evaluatePair(pair, measure, cocoIouThresholds, maxDetections[2]).forEach((match, area) => {
          const cell = cells[area];
          if (cell === undefined) return;
          cell.matches.push(match);
          cell.positives += match.positives;
        });
      }
      return [category, cells.map(summarizeCell)] as const;
    });
  return resultOf(found);
}

const byId = (a: number | string, b: number | string): number => (a < b ? -1 : a > b ? 1 : 0);

type Grouped<T> = ReadonlyMap<number, ReadonlyMap<number | string, readonly T[]>>;

/** By category, then by image. */
function grouped<T extends { readonly category: number; readonly image: number | string }>(
  items: readonly T[],
): Grouped<T> {
  const groups = new Map<number, Map<number | string, T[]>>();
  for (const item of items) {
    const images = groups.get(item.category) ?? new Map<number | string, T[]>();
    groups.set(item.category, images);
    const list = images.get(item.image);
    if (list) list.push(item);
    else images.set(item.image, [item]);
  }
  return groups;
}

/** By threshold; undefined where there is no ground truth. */
interface CellSummary {
  /** Precision at the 101 recalls, at most 100 detections a picture. */
  readonly curves: readonly (readonly number[])[];
  /** By most detections a picture, then by threshold. */
  readonly recalls: readonly (readonly number[])[];
}

function summarizeCell({ matches, positives }: Cell): CellSummary | undefined {
  if (positives === 0) return undefined;
  const curvesOf = (most: number, points: readonly number[]) => {
    const ranked = rankMatches(matches, most);
    return cocoIouThresholds.map((_, threshold) => precisionCurve(ranked, { positives, threshold, points }));
  };
  const [one, ten, hundred] = maxDetections;
  const whole = curvesOf(hundred, recallPoints);
  return {
    curves: whole.map(({ precisions }) => precisions),
    recalls: [curvesOf(one, []), curvesOf(ten, []), whole].map((curves) =>
      curves.map(({ recall }) => recall),
    ),
  };
}

/** −1 stands for "no ground truth", as in COCO's own tools. */
function mean(values: readonly number[]): number {
  return values.length === 0 ? -1 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

const AT_50 = 0;
const AT_75 = 5;

function resultOf(found: readonly (readonly [number, readonly (CellSummary | undefined)[]])[]): CocoResult {
  const cellsOf = (area: AreaRange['name']): readonly CellSummary[] => {
    const index = areaRanges.findIndex(({ name }) => name === area);
    return found.flatMap(([, cells]) => cells[index] ?? []);
  };
  const precision = (area: AreaRange['name'], threshold?: number): number =>
    mean(cellsOf(area).flatMap((cell) => precisionsAt(cell, threshold)));
  const recall = (area: AreaRange['name'], most: 0 | 1 | 2): number =>
    mean(cellsOf(area).flatMap(({ recalls }) => recalls[most] ?? []));
  return {
    stats: {
      AP: precision('all'),
      AP50: precision('all', AT_50),
      AP75: precision('all', AT_75),
      APs: precision('small'),
      APm: precision('medium'),
      APl: precision('large'),
      AR1: recall('all', 0),
      AR10: recall('all', 1),
      AR100: recall('all', 2),
      ARs: recall('small', 2),
      ARm: recall('medium', 2),
      ARl: recall('large', 2),
    },
    categories: new Map(found.map(([category, cells]) => [category, categoryStats(cells[0])])),
  };
}

function precisionsAt({ curves }: CellSummary, threshold?: number): readonly number[] {
  return threshold === undefined ? curves.flat() : (curves[threshold] ?? []);
}

function categoryStats(cell: CellSummary | undefined): CategoryStats {
  if (cell === undefined) return { AP: -1, AP50: -1, AP75: -1, AR100: -1, curve50: [] };
  return {
    AP: mean(precisionsAt(cell)),
    AP50: mean(precisionsAt(cell, AT_50)),
    AP75: mean(precisionsAt(cell, AT_75)),
    AR100: mean(cell.recalls[2] ?? []),
    curve50: cell.curves[AT_50] ?? [],
  };
}
