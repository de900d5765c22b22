/**
 * The loss of single-shot detectors, as torchvision, mmdetection and CVNets have it: cross-entropy of all anchors that
 * found an object and of the hardest others, three for each, plus smooth L1 of the boxes of those that did; both divided
 * by how many did, in the whole batch. @see SSD, arXiv:1512.02325, §2.2
 */
export interface SsdLossInput {
  /** [N, A]: class of each anchor, `background` for none; negative for anchors that do not count. */
  readonly labels: ArrayLike<number>;
  /** [N, A, 4]: offsets that boxes should have; read for anchors with an object only. */
  readonly offsets: ArrayLike<number>;
  readonly levels: readonly SsdLevel[];
  readonly images: number;
  readonly classes: number;
  readonly background: number;
  /** Others counted for each anchor with an object. */
  readonly negatives: number;
}

/** What a net says of one feature map's anchors. */
export interface SsdLevel {
  /** [N, anchors, classes] */
  readonly scores: ArrayLike<number>;
  /** [N, anchors, 4] */
  readonly boxes: ArrayLike<number>;
}

export interface SsdLoss {
  readonly classes: number;
  readonly boxes: number;
}

/** Anchors of one picture on a level. */
const anchorsOf = ({ boxes }: SsdLevel, images: number): number => boxes.length / 4 / images;

const anchorsIn = ({ levels, images }: SsdLossInput): number =>
  levels.reduce((sum, level) => sum + anchorsOf(level, images), 0);

function logOfSum(scores: ArrayLike<number>, from: number, count: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) most = Math.max(most, scores[from + i] ?? 0);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.exp((scores[from + i] ?? 0) - most);
  return most + Math.log(sum);
}

/** How an anchor counts. */
const [UNCOUNTED, NEGATIVE, OBJECT] = [0, 1, 2];

/** One picture's anchors, level after level. */
interface Measured {
  /** Cross-entropy of each; 0 for those that do not count at all. */
  readonly losses: Float64Array;
  /** OBJECT, NEGATIVE for the hardest others, else UNCOUNTED. */
  readonly counted: Uint8Array;
  /** Anchors with an object. */
  readonly found: number;
}

function measure(input: SsdLossInput, image: number): Measured {
  const { labels, levels, classes, background, images, negatives } = input;
  const total = anchorsIn(input);
  const losses = new Float64Array(total);
  const others = new Float64Array(total);
  const counted = new Uint8Array(total);
  let [anchor, found, rest] = [0, 0, 0];
  for (const level of levels) {
    const count = anchorsOf(level, images);
    for (let i = 0; i < count; i++, anchor++) {
      const label = labels[image * total + anchor] ?? background;
      if (label < 0) continue;
      const from = (image * count + i) * classes;
      const loss = logOfSum(level.scores, from, classes) - (level.scores[from + label] ?? 0);
      losses[anchor] = loss;
      if (label === background) others[rest++] = loss;
      else {
        counted[anchor] = OBJECT;
        found++;
      }
    }
  }
  countHardest(input, image, { losses, counted, found }, others.subarray(0, rest), negatives * found);
  return { losses, counted, found };
}

/** Of equal losses those of the first anchors. @param others losses of all anchors that are background; reordered */
function countHardest(
  { labels, background }: SsdLossInput,
  image: number,
  { losses, counted }: Measured,
  others: Float64Array,
  wanted: number,
): void {
  if (wanted === 0) return;
  others.sort();
  const least = others[Math.max(0, others.length - wanted)] ?? 0;
  let above = 0;
  while (above < others.length && (others[others.length - 1 - above] ?? 0) > least) above++;
  let equal = wanted - above;
  for (let anchor = 0; anchor < losses.length; anchor++) {
    if (labels[image * losses.length + anchor] !== background) continue;
    const loss = losses[anchor] ?? 0;
    if (loss > least || (loss === least && equal-- > 0)) counted[anchor] = NEGATIVE;
  }
}

const smoothL1 = (x: number): number => (Math.abs(x) < 1 ? 0.5 * x * x : Math.abs(x) - 0.5);

export function ssdLoss(input: SsdLossInput): SsdLoss {
  const { levels, images, offsets } = input;
  const total = anchorsIn(input);
  let [classLoss, boxLoss, divisor] = [0, 0, 0];
  for (let image = 0; image < images; image++) {
    const { losses, counted, found } = measure(input, image);
    divisor += found;
    let anchor = 0;
    for (const level of levels) {
      const count = anchorsOf(level, images);
      for (let i = 0; i < count; i++, anchor++) {
        if (counted[anchor] !== UNCOUNTED) classLoss += losses[anchor] ?? 0;
        if (counted[anchor] !== OBJECT) continue;
        const [own, wanted] = [4 * (image * count + i), 4 * (image * total + anchor)];
        for (let axis = 0; axis < 4; axis++)
          boxLoss += smoothL1((level.boxes[own + axis] ?? 0) - (offsets[wanted + axis] ?? 0));
      }
    }
  }
  return { classes: classLoss / Math.max(1, divisor), boxes: boxLoss / Math.max(1, divisor) };
}

/** What a level's cotangents are written to; zero at first. */
export interface SsdLevelGradients {
  readonly scores: { [at: number]: number };
  readonly boxes: { [at: number]: number };
}

/** Cotangents of scores and boxes, for a cotangent `dloss` of the sum of both losses. */
export function ssdLossGradients(
  input: SsdLossInput,
  dloss: number,
  gradients: readonly SsdLevelGradients[],
): void {
  const { levels, images, labels, background } = input;
  const total = anchorsIn(input);
  const measured = Array.from({ length: images }, (_, image) => measure(input, image));
  const found = measured.reduce((sum, one) => sum + one.found, 0);
  const factor = dloss / Math.max(1, found);
  measured.forEach(({ counted }, image) => {
    let anchor = 0;
    levels.forEach((level, index) => {
      const target = gradients[index];
      const count = anchorsOf(level, images);
      for (let i = 0; i < count; i++, anchor++) {
        if (target === undefined || counted[anchor] === UNCOUNTED) continue;
        const at = image * count + i;
        const label = labels[image * total + anchor] ?? background;
        scoreGradients(input, level, at, label, factor, target.scores);
        if (counted[anchor] === OBJECT)
          boxGradients(input, level, at, image * total + anchor, factor, target);
      }
    });
  });
}

function scoreGradients(
  { classes }: SsdLossInput,
  { scores }: SsdLevel,
  at: number,
  label: number,
  factor: number,
  target: SsdLevelGradients['scores'],
): void {
  const from = at * classes;
  const whole = logOfSum(scores, from, classes);
  for (let c = 0; c < classes; c++) {
    const probability = Math.exp((scores[from + c] ?? 0) - whole);
    target[from + c] = factor * (probability - (c === label ? 1 : 0));
  }
}

function boxGradients(
  { offsets }: SsdLossInput,
  { boxes }: SsdLevel,
  at: number,
  anchor: number,
  factor: number,
  target: SsdLevelGradients,
): void {
  for (let axis = 0; axis < 4; axis++) {
    const difference = (boxes[4 * at + axis] ?? 0) - (offsets[4 * anchor + axis] ?? 0);
    target.boxes[4 * at + axis] = factor * Math.min(Math.max(difference, -1), 1);
  }
}
