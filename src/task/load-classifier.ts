import type { Engine } from '../engine/engine.ts';
import { UsageError } from '../errors.ts';
import type { ModelEntry } from '../hub/models.ts';
import { type ResolveOptions, resolveWeights } from '../hub/resolve.ts';
import type { DecodeOptions, ImageDecoder } from '../image/codec.ts';
import { type EvalTransform, resolveEvalTransform } from '../image/eval-transform.ts';
import { fromPixels, type Image, type PixelSource } from '../image/image.ts';
import {
  type Classification,
  type Classifier,
  type ClassifierOptions,
  createClassifier,
} from './classify.ts';
import { defaultLabels, defaultTransform } from './net-defaults.ts';
import { type CheckpointNet, readNet } from './read-net.ts';

/** What a composition root hands in: where weights come from, who decodes pictures, who computes. */
export interface Platform {
  readonly hub: ResolveOptions;
  readonly decoder: () => Promise<ImageDecoder>;
  readonly engine: () => Promise<Engine>;
  /** Bytes of the picture at a path or address. @throws ImageError when there is none */
  readonly readPicture: (location: string) => Promise<Uint8Array>;
}

export interface LoadOptions extends Partial<Omit<ClassifierOptions, 'engine' | 'calibration'>> {
  /** Default: the platform's. */
  readonly engine?: Engine;
  /** A family's name or data; default: what the checkpoint says, else its family's. */
  readonly transform?: string | EvalTransform;
  /** Side of the square the net sees; default: the transform's, 224. */
  readonly inputSize?: number;
  /** Class names by index; default: what the checkpoint says, else ImageNet-1k's when there are 1000 classes. */
  readonly labels?: readonly string[];
  /** @see ClassifierOptions.calibration */
  readonly calibration?: readonly Picture[];
  /** Over what the platform gives: progress, notice, offline, mirror, signal. */
  readonly hub?: Partial<ResolveOptions>;
}

/** Anything that is a picture: a path or address, the bytes of a file, or pixels. */
export type Picture = string | Uint8Array | Image | PixelSource;

export interface ClassifyOptions extends DecodeOptions {
  /** How many ranked classes to list, default 5. */
  readonly topK?: number;
}

/** A classifier together with where it came from; it decodes pictures too. */
export interface LoadedClassifier extends Omit<Classifier, 'classify'> {
  /** Undefined for a file of one's own. */
  readonly entry: ModelEntry | undefined;
  readonly net: Omit<CheckpointNet, 'weights'>;
  /** Path of the weights. */
  readonly location: string;
  classify(picture: Picture, options?: ClassifyOptions): Promise<Classification>;
}

/**
 * From a model's name or a checkpoint's path to a net ready for pictures.
 * @throws HubError, FormatError, WeightsError, UsageError
 */
export async function loadClassifier(
  platform: Platform,
  nameOrPath: string,
  options: LoadOptions = {},
): Promise<LoadedClassifier> {
  const { entry, file, location } = await resolveWeights(nameOrPath, { ...platform.hub, ...options.hub });
  const { weights, ...net } = await readNet(file);
  const size = options.inputSize === undefined ? {} : { inputSize: options.inputSize };
  const transform = resolveEvalTransform(options.transform ?? defaultTransform(net, entry), size);
  const labels = options.labels ?? defaultLabels(net, entry);
  const engine = options.engine ?? (await platform.engine());
  const source = { config: net.config, form: net.form, weights, transform, labels };
  let decoder: ImageDecoder | undefined;
  const open = async (picture: Picture, decode: DecodeOptions): Promise<Image> => {
    decoder ??= await platform.decoder();
    return openPicture(platform, decoder, picture, decode);
  };
  const calibration: Image[] = [];
  for (const picture of options.calibration ?? []) calibration.push(await open(picture, {}));
  const classifier = await createClassifier(source, { ...options, engine, calibration });
  return {
    ...classifier,
    entry,
    net,
    location,
    classify: async (picture, { topK, ...decode } = {}) =>
      classifier.classify(await open(picture, decode), topK),
  };
}

/** @throws ImageError for what is no picture */
export async function openPicture(
  platform: Platform,
  decoder: ImageDecoder,
  picture: Picture,
  options: DecodeOptions,
): Promise<Image> {
  if (typeof picture === 'string')
    return decoder.decode(await platform.readPicture(picture), { name: picture, ...options });
  if (picture instanceof Uint8Array) return decoder.decode(picture, options);
  return fromPixels(picture);
}

/**
 * mmpretrain's `inference_model`: a model by name (loaded for this call) or already loaded, and one picture.
 * Load it once with `loadClassifier` when there are more.
 */
export async function inferenceModel(
  platform: Platform,
  model: string | LoadedClassifier,
  picture: Picture,
  options: LoadOptions & ClassifyOptions = {},
): Promise<Classification> {
  if (typeof model !== 'string') return model.classify(picture, options);
  if (model === '')
    throw new UsageError('inferenceModel: the model must be a name or a path, found an empty text.');
  const loaded = await loadClassifier(platform, model, options);
  try {
    return await loaded.classify(picture, options);
  } finally {
    loaded.dispose();
  }
}
