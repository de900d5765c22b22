import type { CompileOptions, Engine } from '../engine/engine.ts';
import { WeightsError } from '../errors.ts';
import { type ResolveOptions, resolveWeights } from '../hub/resolve.ts';
import type { DecodeOptions, ImageDecoder } from '../image/codec.ts';
import type { Image } from '../image/image.ts';
import type { Form } from '../model/block.ts';
import { createDetector, type DetectedObject, type DetectOptions, type Detector } from './detect.ts';
import { type NamedHeadNet, readHeadNet } from './head-checkpoint.ts';
import { openPicture, type Picture, type Platform } from './load-classifier.ts';
import { createSegmenter, type Segmentation, type Segmenter, type SegmentOptions } from './segment.ts';
import { type Task, taskTitles } from './task-head.ts';

export interface LoadHeadOptions extends CompileOptions {
  /** Default: the platform's. */
  readonly engine?: Engine;
  /** The form that runs; default deploy. */
  readonly run?: Form;
  /** Over what the platform gives: progress, notice, offline, mirror, signal. */
  readonly hub?: Partial<ResolveOptions>;
}

interface Loaded {
  /** What the file calls itself. */
  readonly name: string;
  /** Path of the weights. */
  readonly location: string;
  /** Decodes as the platform does. */
  open(picture: Picture, options?: DecodeOptions): Promise<Image>;
}

/** A detector together with where it came from; it decodes pictures too. */
export interface LoadedDetector extends Omit<Detector, 'detect'>, Loaded {
  detect(picture: Picture, options?: DetectOptions & DecodeOptions): Promise<readonly DetectedObject[]>;
}

/** A segmenter together with where it came from; it decodes pictures too. */
export interface LoadedSegmenter extends Omit<Segmenter, 'segment'>, Loaded {
  segment(picture: Picture, options?: SegmentOptions & DecodeOptions): Promise<Segmentation>;
}

/** @throws HubError, FormatError, WeightsError, also for a net that does something else */
export async function loadDetector(
  platform: Platform,
  path: string,
  options: LoadHeadOptions = {},
): Promise<LoadedDetector> {
  const { source, location, engine, rest } = await load(platform, path, options);
  const { head, name } = source;
  if (head.task !== 'detect') throw otherTask(path, head.task, 'detect');
  const detector = await createDetector({ ...source, head }, { ...rest, engine });
  const open = opener(platform);
  return {
    ...detector,
    name,
    location,
    open,
    detect: async (picture, wanted = {}) => detector.detect(await open(picture, wanted), wanted),
  };
}

/** @throws HubError, FormatError, WeightsError, also for a net that does something else */
export async function loadSegmenter(
  platform: Platform,
  path: string,
  options: LoadHeadOptions = {},
): Promise<LoadedSegmenter> {
  const { source, location, engine, rest } = await load(platform, path, options);
  const { head, name } = source;
  if (head.task !== 'segment') throw otherTask(path, head.task, 'segment');
  const segmenter = await createSegmenter({ ...source, head }, { ...rest, engine });
  const open = opener(platform);
  return {
    ...segmenter,
    name,
    location,
    open,
    segment: async (picture, wanted = {}) => segmenter.segment(await open(picture, wanted), wanted),
  };
}

interface Ingredients {
  readonly source: NamedHeadNet;
  readonly location: string;
  readonly engine: Engine;
  readonly rest: Omit<LoadHeadOptions, 'engine' | 'hub'>;
}

async function load(
  platform: Platform,
  path: string,
  { engine, hub, ...rest }: LoadHeadOptions,
): Promise<Ingredients> {
  const { file, location } = await resolveWeights(path, { ...platform.hub, ...hub });
  const source = await readHeadNet(file);
  return { source, location, engine: engine ?? (await platform.engine()), rest };
}

function otherTask(path: string, found: Task, wanted: Task): WeightsError {
  return new WeightsError(
    `weights "${path}" are a net for ${taskTitles[found]}, where one for ${taskTitles[wanted]} is expected.`,
  );
}

function opener(platform: Platform): Loaded['open'] {
  let decoder: ImageDecoder | undefined;
  return async (picture, options = {}) => {
    decoder ??= await platform.decoder();
    return openPicture(platform, decoder, picture, options);
  };
}
