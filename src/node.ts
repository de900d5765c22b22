// The entry for Node: everything, put together with files, the cache on disk and the fastest engine there is.
import { nodeCpuEngine } from './platform/node/cpu-engine.ts';
import { nodeHubOptions } from './platform/node/hub-options.ts';
import { createNodeDecoder } from './platform/node/image-decoder.ts';
import { readPictureFile } from './platform/node/read-picture.ts';
import type { Classification } from './task/classify.ts';
import {
  type ClassifyOptions,
  inferenceModel as inferenceModelOn,
  type LoadedClassifier,
  type LoadOptions,
  loadClassifier as loadClassifierOn,
  type Picture,
  type Platform,
} from './task/load-classifier.ts';
import {
  type LoadedDetector,
  type LoadedSegmenter,
  type LoadHeadOptions,
  loadDetector as loadDetectorOn,
  loadSegmenter as loadSegmenterOn,
} from './task/load-head.ts';

export * from './index.ts';
export { nodeCpuEngine } from './platform/node/cpu-engine.ts';
export { openFileSource } from './platform/node/file-source.ts';
export { folderFiles, openDataPath } from './platform/node/folder-files.ts';
export { createNodeDecoder } from './platform/node/image-decoder.ts';
export { createNodePool } from './platform/node/loader-workers.ts';
export { openRunFolder } from './platform/node/run-folder.ts';

/** What this machine offers: its cache and settings, its best decoder and engine. */
export function nodePlatform(): Platform {
  return {
    hub: nodeHubOptions(),
    decoder: createNodeDecoder,
    engine: nodeCpuEngine,
    readPicture: readPictureFile,
  };
}

/** A model's name (`mobileone models` lists them) or a checkpoint's path → a net ready for pictures. */
export function loadClassifier(nameOrPath: string, options?: LoadOptions): Promise<LoadedClassifier> {
  return loadClassifierOn(nodePlatform(), nameOrPath, options);
}

/** The path of a detector's checkpoint → what finds objects in pictures. */
export function loadDetector(path: string, options?: LoadHeadOptions): Promise<LoadedDetector> {
  return loadDetectorOn(nodePlatform(), path, options);
}

/** The path of a segmenter's checkpoint → what names every pixel of pictures. */
export function loadSegmenter(path: string, options?: LoadHeadOptions): Promise<LoadedSegmenter> {
  return loadSegmenterOn(nodePlatform(), path, options);
}

/** `inferenceModel('mobileone-s0_8xb32_in1k', 'bird.JPEG')` → predLabel, predScore, predScores, predClass, top. */
export function inferenceModel(
  model: string | LoadedClassifier,
  picture: Picture,
  options?: LoadOptions & ClassifyOptions,
): Promise<Classification> {
  return inferenceModelOn(nodePlatform(), model, picture, options);
}
