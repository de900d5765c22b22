import type { Corners } from './anchors.ts';

/**
 * Boxes as a net predicts them: offsets from an anchor, (dx, dy) in anchor sides and (dw, dh) as logarithms, each
 * divided by its deviation. @see R-CNN, arXiv:1311.2524, appendix C
 */
export interface BoxCoder {
  readonly deviations: readonly [x: number, y: number, width: number, height: number];
  /** Largest and, if `both`, smallest (negative) logarithm of a side's factor that is decoded. */
  readonly limit: number;
  readonly bothLimits: boolean;
}

/** A side may grow to 1000/16 of the anchor's. */
const SIDE_LIMIT = Math.log(1000 / 16);
/** The weights 10, 10, 5, 5 of other notations. */
const deviations = [0.1, 0.1, 0.2, 0.2] as const;

export const boxCoders = {
  torchvision: { deviations, limit: SIDE_LIMIT, bothLimits: false },
  mmdetection: { deviations, limit: SIDE_LIMIT, bothLimits: true },
  cvnets: { deviations, limit: Number.POSITIVE_INFINITY, bothLimits: false },
} as const satisfies Readonly<Record<string, BoxCoder>>;

/** Offsets of a box from its anchor, written to `offsets` from `to` on. @param a @param b indices of boxes */
export function encodeBox(
  coder: BoxCoder,
  anchors: Corners,
  a: number,
  boxes: Corners,
  b: number,
  offsets: Float32Array,
  to: number,
): void {
  for (const axis of [0, 1] as const) {
    const [a0, a1] = [anchors[4 * a + axis] ?? 0, anchors[4 * a + axis + 2] ?? 0];
    const [b0, b1] = [boxes[4 * b + axis] ?? 0, boxes[4 * b + axis + 2] ?? 0];
    const side = a1 - a0;
    offsets[to + axis] = (b0 + b1 - a0 - a1) / 2 / side / coder.deviations[axis];
    offsets[to + axis + 2] = Math.log((b1 - b0) / side) / coder.deviations[axis === 0 ? 2 : 3];
  }
}

/**
 * All offsets → boxes. @param offsets [A, 4] @param within width and height to cut boxes to; absent: not cut
 * @param boxes overwritten, as long as the anchors
 */
export function decodeBoxes(
  { deviations: [dx, dy, dw, dh], limit, bothLimits }: BoxCoder,
  anchors: Corners,
  offsets: Float32Array,
  boxes: Corners,
  within?: readonly [width: number, height: number],
): void {
  const [mostX, mostY] = within ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const least = within ? 0 : Number.NEGATIVE_INFINITY;
  const low = bothLimits ? -limit : Number.NEGATIVE_INFINITY;
  const factor = (log: number): number => Math.exp(Math.min(Math.max(log, low), limit));
  for (let i = 0; i < anchors.length; i += 4) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = [anchors[i], anchors[i + 1], anchors[i + 2], anchors[i + 3]];
    const [width, height] = [x2 - x1, y2 - y1];
    const x = (x1 + x2) / 2 + (offsets[i] ?? 0) * dx * width;
    const y = (y1 + y2) / 2 + (offsets[i + 1] ?? 0) * dy * height;
    const halfWidth = (width * factor((offsets[i + 2] ?? 0) * dw)) / 2;
    const halfHeight = (height * factor((offsets[i + 3] ?? 0) * dh)) / 2;
    boxes[i] = Math.min(Math.max(x - halfWidth, least), mostX);
    boxes[i + 1] = Math.min(Math.max(y - halfHeight, least), mostY);
    boxes[i + 2] = Math.min(Math.max(x + halfWidth, least), mostX);
    boxes[i + 3] = Math.min(Math.max(y + halfHeight, least), mostY);
  }
}
