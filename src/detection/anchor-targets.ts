import { ShapeError } from '../errors.ts';
import type { Corners } from './anchors.ts';
import { type AssignRule, assignAnchors, IGNORED } from './assign.ts';
import { type BoxCoder, encodeBox } from './box-coder.ts';

/** An object to be found. Box: left, top, width, height in pixels of the net's input. */
export interface TargetObject {
  readonly category: number;
  readonly box: readonly [x: number, y: number, width: number, height: number];
  /** Anchors mostly within it count neither as object nor as background. */
  readonly crowd: boolean;
}

export interface AnchorTargetStyle {
  readonly assign: AssignRule;
  readonly coder: BoxCoder;
  /** Class that is no object; categories from it on are one higher in the labels (0: all of them). */
  readonly background: number;
}

/** What `ssdLoss` compares a net's answer with. */
export interface AnchorTargets {
  /** [N, A]: class, background, or −1 for anchors that do not count. */
  readonly labels: Float32Array;
  /** [N, A, 4]: 0 for anchors without an object. */
  readonly offsets: Float32Array;
}

export const anchorTargets = (images: number, anchors: Corners): AnchorTargets => ({
  labels: new Float32Array((images * anchors.length) / 4),
  offsets: new Float32Array(images * anchors.length),
});

/**
 * Writes one picture's targets into row `image`. @param anchors A boxes
 * @throws ShapeError when the arrays have no such row, or a box has no area (its offsets would be infinite)
 */
export function writeAnchorTargets(
  style: AnchorTargetStyle,
  anchors: Corners,
  objects: readonly TargetObject[],
  { labels, offsets }: AnchorTargets,
  image: number,
): void {
  const count = anchors.length / 4;
  const [from, end] = [image * count, (image + 1) * count];
  if (end > labels.length || offsets.length !== labels.length * 4)
    throw new ShapeError(
      `anchor targets: row ${image} of ${count} anchors needs [${image + 1}, ${count}] labels and four times as many offsets, ` +
        `found ${labels.length} and ${offsets.length}.`,
    );
  const wanted = objects.filter(({ crowd }) => !crowd);
  const empty = wanted.find(({ box }) => !(box[2] > 0 && box[3] > 0));
  if (empty) throw new ShapeError(`anchor targets: boxes must have an area, found ${empty.box.join(', ')}.`);
  const boxes = cornersOf(wanted);
  const crowds = cornersOf(objects.filter(({ crowd }) => crowd));
  labels.fill(style.background, from, end);
  offsets.fill(0, 4 * from, 4 * end);
  assignAnchors(anchors, boxes, style.assign, crowds).forEach((found, anchor) => {
    if (found === IGNORED) labels[from + anchor] = -1;
    const object = wanted[found];
    if (object === undefined) return;
    const { category } = object;
    labels[from + anchor] = category < style.background ? category : category + 1;
    encodeBox(style.coder, anchors, anchor, boxes, found, offsets, 4 * (from + anchor));
  });
}

const cornersOf = (objects: readonly TargetObject[]): Corners =>
  Float32Array.from(objects.flatMap(({ box: [x, y, width, height] }) => [x, y, x + width, y + height]));
