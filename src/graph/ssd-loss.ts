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

interface Anchor {
  readonly level: SsdLevel;
  readonly levelIndex: number;
  /** Of its scores, and of its box, within the level's. */
  readonly score: number;
  readonly box: number;
}

interface Measured {
  /** Cross-entropy of each anchor of a picture. */
  readonly losses: Float64Array;
  /** Anchors of a picture that count, with an object first. */
  readonly objects: readonly number[];
  readonly hardest: readonly number[];
}

const anchorsOf = ({ boxes }: SsdLevel, images: number): number => boxes.length / 4 / images;

function* anchorsOfImage(input: SsdLossInput, image: number): Generator<Anchor> {
  for (const [levelIndex, level] of input.levels.entries()) {
    const count = anchorsOf(level, input.images);
    for (let i = 0; i < count; i++) {
      const at = image * count + i;
      yield { level, levelIndex, score: at * input.classes, box: 4 * at };
    }
  }
}

function logOfSum(scores: ArrayLike<number>, from: number, count: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) most = Math.max(most, scores[from + i] ?? 0);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.exp((scores[from + i] ?? 0) - most);
  return most + Math.log(sum);
}

function measure(input: SsdLossInput, image: number, anchors: readonly Anchor[]): Measured {
  const losses = new Float64Array(anchors.length);
  const [objects, others]: [number[], number[]] = [[], []];
  anchors.forEach(({ level, score }, i) => {
    const label = input.labels[image * anchors.length + i] ?? input.background;
    if (label < 0) return;
    losses[i] = logOfSum(level.scores, score, input.classes) - (level.scores[score + label] ?? 0);
    (label === input.background ? others : objects).push(i);
  });
  others.sort((a, b) => (losses[b] ?? 0) - (losses[a] ?? 0) || a - b);
  return { losses, objects, hardest: others.slice(0, input.negatives * objects.length) };
}

const smoothL1 = (x: number): number => (Math.abs(x) < 1 ? 0.5 * x * x : Math.abs(x) - 0.5);

/** Calls back for each picture, then gives the divisor. */
function overImages(
  input: SsdLossInput,
  visit: (image: number, anchors: readonly Anchor[], measured: Measured) => void,
): void {
  for (let image = 0; image < input.images; image++) {
    const anchors = [...anchorsOfImage(input, image)];
    visit(image, anchors, measure(input, image, anchors));
  }
}

export function ssdLoss(input: SsdLossInput): SsdLoss {
  let [classLoss, boxLoss, found] = [0, 0, 0];
  overImages(input, (image, anchors, { losses, objects, hardest }) => {
    for (const i of objects) classLoss += losses[i] ?? 0;
    for (const i of hardest) classLoss += losses[i] ?? 0;
    found += objects.length;
    for (const i of objects) boxLoss += boxTerms(input, image, anchors, i, smoothL1);
  });
  const divisor = Math.max(1, found);
  return { classes: classLoss / divisor, boxes: boxLoss / divisor };
}

/** Sum over the four offsets of one anchor; `term` also gets where the offset lies within its level. */
function boxTerms(
  { offsets }: SsdLossInput,
  image: number,
  anchors: readonly Anchor[],
  index: number,
  term: (difference: number, at: number) => number,
): number {
  const anchor = anchors[index];
  if (anchor === undefined) return 0;
  let sum = 0;
  for (let axis = 0; axis < 4; axis++) {
    const at = anchor.box + axis;
    const wanted = offsets[4 * (image * anchors.length + index) + axis] ?? 0;
    sum += term((anchor.level.boxes[at] ?? 0) - wanted, at);
  }
  return sum;
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
  const chosen: { image: number; anchors: readonly Anchor[]; measured: Measured }[] = [];
  overImages(input, (image, anchors, measured) => void chosen.push({ image, anchors, measured }));
  const found = chosen.reduce((sum, { measured }) => sum + measured.objects.length, 0);
  const factor = dloss / Math.max(1, found);
  for (const { image, anchors, measured } of chosen) {
    for (const i of [...measured.objects, ...measured.hardest]) {
      const anchor = anchors[i];
      const target = anchor && gradients[anchor.levelIndex]?.scores;
      if (!anchor || !target) continue;
      const label = input.labels[image * anchors.length + i] ?? input.background;
      const { scores } = anchor.level;
      const whole = logOfSum(scores, anchor.score, input.classes);
      for (let c = 0; c < input.classes; c++) {
        const probability = Math.exp((scores[anchor.score + c] ?? 0) - whole);
        target[anchor.score + c] = factor * (probability - (c === label ? 1 : 0));
      }
    }
    for (const i of measured.objects) {
      const target = gradients[anchors[i]?.levelIndex ?? -1]?.boxes;
      if (!target) continue;
      boxTerms(input, image, anchors, i, (difference, at) => {
        target[at] = factor * Math.min(Math.max(difference, -1), 1);
        return 0;
      });
    }
  }
}
