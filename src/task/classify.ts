import type { CompileOptions, Engine, Session } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import type { Net } from '../graph/net.ts';
import { applyTransform } from '../image/apply-transform.ts';
import type { EvalTransform } from '../image/eval-transform.ts';
import { fromPixels, type Image, type PixelSource } from '../image/image.ts';
import type { Form } from '../model/block.ts';
import type { MobileOneConfig } from '../model/config.ts';
import { buildMobileOne, inputName } from '../model/mobileone.ts';
import type { Tensor, Weights } from '../tensor/tensor.ts';
import { reparameterize } from '../transform/reparameterize.ts';
import { calibratedNet } from './calibrate.ts';

export interface RankedClass {
  readonly label: number;
  readonly className: string;
  /** Softmax probability. */
  readonly score: number;
}

/** One picture's answer; the first four fields are named as mmpretrain's `inference_model` names them. */
export interface Classification {
  /** Index of the most probable class. */
  readonly predLabel: number;
  readonly predScore: number;
  /** Probabilities of all classes, by index. */
  readonly predScores: Float32Array;
  readonly predClass: string;
  /** The most probable classes, best first. */
  readonly top: readonly RankedClass[];
}

export interface ClassifierSource {
  readonly config: MobileOneConfig;
  /** The form of `weights`. */
  readonly form: Form;
  readonly weights: Weights;
  readonly transform: EvalTransform;
  readonly labels: readonly string[];
}

export interface ClassifierOptions extends CompileOptions {
  readonly engine: Engine;
  /** Default `deploy`: train-form weights are re-parameterized first. `train` runs the branches as they are. */
  readonly run?: Form;
  /**
   * A few dozen pictures like those to come, for precision bf16 of the deploy form: the net is then put so that rounding
   * costs a seventh of what it did, and running costs no more. It takes seconds, once, and an engine that can train.
   */
  readonly calibration?: readonly (Image | PixelSource)[];
}

/** A net ready to classify; make it once, use it for many pictures. */
export interface Classifier {
  readonly config: MobileOneConfig;
  /** The form that runs. */
  readonly form: Form;
  readonly transform: EvalTransform;
  readonly labels: readonly string[];
  readonly engine: string;
  /**
   * @param picture decoded pixels: an Image, or any grey, RGB or RGBA buffer such as a browser's ImageData
   * @param topK how many ranked classes to list, default 5
   */
  classify(picture: Image | PixelSource, topK?: number): Promise<Classification>;
  dispose(): void;
}

/**
 * @throws UsageError when the labels, input channels or form do not suit the net
 * @throws WeightsError when a parameter is missing or of another shape
 */
export async function createClassifier(
  source: ClassifierSource,
  options: ClassifierOptions,
): Promise<Classifier> {
  const { config, transform, labels } = source;
  checkClassifiable(source, options.run);
  const [height, width] = inputSize(transform);
  const graph = buildMobileOne(config, { form: source.form, height, width, outputs: ['probabilities'] });
  const given: Net = { graph, weights: source.weights };
  const net = options.run === 'train' ? given : reparameterize(given);
  const { engine, calibration = [] } = options;
  if (calibration.length > 0 && (options.precision !== 'bf16' || options.run === 'train'))
    throw new UsageError(
      `${config.name}: calibration is for precision "bf16" of the deploy form, found precision "${options.precision ?? 'f32'}" of the ${options.run ?? 'deploy'} form; leave it out.`,
    );
  const plain = { net, transform };
  const pictures = calibration.map(fromPixels);
  const ready = pictures.length > 0 ? await calibratedNet(plain, pictures, engine, options) : plain;
  const session = await engine.compile(ready.net.graph, ready.net.weights, options);
  return {
    config,
    form: options.run === 'train' ? 'train' : 'deploy',
    transform,
    labels,
    engine: engine.name,
    classify: async (picture, topK = 5) => {
      const image = applyTransform(fromPixels(picture), ready.transform);
      return rank(await probabilities(session, image), labels, topK);
    },
    dispose: () => session.dispose(),
  };
}

function checkClassifiable({ config, form, labels }: ClassifierSource, run: Form | undefined): void {
  if (config.classes < 1)
    throw new UsageError(`${config.name}: has no classifier head, so there is nothing to predict with.`);
  if (config.inChannels !== 3)
    throw new UsageError(`${config.name}: takes ${config.inChannels} input channels; pictures have 3.`);
  if (labels.length !== config.classes)
    throw new UsageError(
      `${config.name}: has ${config.classes} classes, but ${labels.length} labels were given.`,
    );
  if (run === 'train' && form === 'deploy')
    throw new UsageError(
      `${config.name}: the weights are in deploy form; their branches are gone and cannot run.`,
    );
}

/** Height and width of what the transform gives. */
export function inputSize({ crop, resize }: EvalTransform): readonly [number, number] {
  if (crop) return [crop.height, crop.width];
  if (resize.kind === 'exact') return [resize.height, resize.width];
  throw new UsageError(
    'eval transform: without a crop or an exact resize, pictures have no fixed size to run on.',
  );
}

async function probabilities(session: Session, image: Tensor): Promise<Float32Array> {
  const outputs = await session.run({ [inputName]: image });
  return Float32Array.from(outputs.probabilities?.data ?? []);
}

function rank(scores: Float32Array, labels: readonly string[], topK: number): Classification {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  const ranked = (label: number): RankedClass => ({
    label,
    className: labels[label] ?? `class ${label}`,
    score: scores[label] ?? 0,
  });
  const best = ranked(order[0] ?? 0);
  return {
    predLabel: best.label,
    predScore: best.score,
    predScores: scores,
    predClass: best.className,
    top: order.slice(0, topK).map(ranked),
  };
}
