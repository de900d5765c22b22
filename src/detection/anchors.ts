import { ShapeError } from '../errors.ts';

/**
 * Anchors (default boxes): a few boxes around every position of several feature maps, which a detector moves, scales
 * and names. Boxes are corners x1, y1, x2, y2 in pixels of the net's input, four numbers a box.
 */
export type Corners = Float32Array;

export type AnchorLevel = StyledLevel | ShapedLevel;

/** Anchors as the published SSDs choose them. */
export interface StyledLevel {
  /** Sides of the two squares, in pixels. */
  readonly sizes: readonly [size: number, between: number];
  /** For each r two boxes of the first square's area: r times as wide as tall, and r times as tall as wide. */
  readonly ratios: readonly number[];
  /** Pixels between centres; absent: the input's side over the map's. Centres start at half of it. */
  readonly stride?: number;
}

/** Any anchors. */
export interface ShapedLevel {
  readonly shapes: readonly (readonly [width: number, height: number])[];
  readonly stride?: number;
}

export interface AnchorStyle {
  readonly levels: readonly AnchorLevel[];
  /** What is cut to the picture: nothing, widths and heights, or centres too. */
  readonly clip: 'none' | 'sides' | 'all';
}

/** Sizes from the first to the last in equal steps, each paired with its geometric mean with the next. */
function spread(sides: readonly number[]): readonly (readonly [number, number])[] {
  return sides.slice(0, -1).map((side, i) => [side, Math.sqrt(side * (sides[i + 1] ?? side))] as const);
}

const wide = [2, 3];
const steps = (count: number, from: number, to: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

/**
 * SSDLite's anchors for a square input as three projects define them, for six maps (strides 16, 32, …).
 * @see torchvision DefaultBoxGenerator(min_ratio 0.2, max_ratio 0.95); mmdetection SSDAnchorGenerator; CVNets
 *   SSDAnchorGenerator
 */
export const anchorStyles = {
  torchvision: (size: number): AnchorStyle => ({
    levels: spread([...steps(6, 0.2, 0.95), 1].map((share) => share * size)).map((sizes) => ({
      sizes,
      ratios: wide,
    })),
    clip: 'sides',
  }),
  mmdetection: (size: number): AnchorStyle => ({
    levels: [48, 100, 150, 202, 253, 304].map((side, i, sides) => {
      const share = size / 320;
      const next = sides[i + 1] ?? 320;
      return {
        sizes: [side * share, Math.sqrt(side * next) * share],
        ratios: wide,
        stride: ([16, 32, 64, 107, 160, 320][i] ?? 320) * share,
      };
    }),
    clip: 'none',
  }),
  cvnets: (size: number): AnchorStyle => ({
    levels: spread(steps(7, 0.1, 1.05).map((share) => share * size)).map((sizes, i) => ({
      sizes,
      ratios: i === 5 ? [2] : wide,
    })),
    clip: 'all',
  }),
} as const satisfies Readonly<Record<string, (size: number) => AnchorStyle>>;

export type AnchorStyleName = keyof typeof anchorStyles;

export const anchorsAt = (level: AnchorLevel): number =>
  'shapes' in level ? level.shapes.length : 2 + 2 * level.ratios.length;

/**
 * @param maps rows and columns of each level's feature map
 * @returns all boxes: by level, then row, column, and in each place the squares, then wide and tall ones by ratio, or
 *   the shapes in their order
 * @throws ShapeError when there are not as many maps as levels
 */
export function anchorBoxes(
  { levels, clip }: AnchorStyle,
  maps: readonly (readonly [rows: number, columns: number])[],
  [height, width]: readonly [height: number, width: number],
): Corners {
  if (maps.length !== levels.length)
    throw new ShapeError(`anchors: ${levels.length} levels need as many feature maps, found ${maps.length}.`);
  const boxes: number[] = [];
  const within = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
  levels.forEach((level, i) => {
    const [rows, columns] = maps[i] ?? [0, 0];
    const sides = levelSides(level).map(([w, h]) =>
      clip === 'none' ? ([w, h] as const) : ([within(w, width), within(h, height)] as const),
    );
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const y = (row + 0.5) * (level.stride ?? height / rows);
        const x = (column + 0.5) * (level.stride ?? width / columns);
        const [cx, cy] = clip === 'all' ? [within(x, width), within(y, height)] : [x, y];
        for (const [w, h] of sides) boxes.push(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2);
      }
  });
  return Float32Array.from(boxes);
}

function levelSides(level: AnchorLevel): readonly (readonly [number, number])[] {
  if ('shapes' in level) return level.shapes;
  const {
    sizes: [size, between],
    ratios,
  } = level;
  return [
    [size, size],
    [between, between],
    ...ratios.flatMap((ratio) => {
      const [long, short] = [size * Math.sqrt(ratio), size / Math.sqrt(ratio)];
      return [
        [long, short],
        [short, long],
      ] as const;
    }),
  ];
}
