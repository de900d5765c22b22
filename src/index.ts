// The entry for every platform; internal files import from where things are, not from here.

export type {
  AnnotatedDataset,
  AnnotatedObject,
  AnnotatedSplits,
  Annotation,
  AnnotationFormat,
} from './data/annotations/annotated.ts';
export {
  type AnnotationReport,
  type CheckAnnotationsOptions,
  checkAnnotations,
  describeAnnotationReport,
} from './data/annotations/check-annotations.ts';
export { type OpenAnnotatedOptions, openAnnotated } from './data/annotations/open-annotated.ts';
export { readJointSample } from './data/annotations/read-joint.ts';
export { checkDataset, type DataReport } from './data/check-dataset.ts';
export { describeDataReport, requireTrainable } from './data/data-report.ts';
export type { ClassDataset, ClassSplits, Dataset, Sample } from './data/dataset.ts';
export { type DataFiles, memoryFiles } from './data/files.ts';
export type { Batch, BatchPictures, BatchPool } from './data/loader/batch.ts';
export { createInlinePool } from './data/loader/inline-pool.ts';
export { createLoader, type Loader, type LoaderOptions } from './data/loader/loader.ts';
export { toPicture } from './data/loader/to-picture.ts';
export { openData } from './data/open-data.ts';
export { drawScene } from './data/procedural/draw-scene.ts';
export { type ProceduralSet, proceduralSet } from './data/procedural/procedural-set.ts';
export type { Scene } from './data/procedural/scene.ts';
export { type Scored, type SoftRule, softSuppress, suppress } from './detection/nms.ts';
export type * from './engine/engine.ts';
export { referenceEngine } from './engine/reference/reference-engine.ts';
export * from './errors.ts';
export { type ByteSource, memorySource } from './format/byte-source.ts';
export type * from './format/checkpoint.ts';
export {
  detectFamily,
  type FamilyName,
  toCanonicalNames,
  toFamilyNames,
} from './format/names/family-names.ts';
export type { Family } from './format/names/key-maps.ts';
export { matchWeights, type WeightsMatch } from './format/names/match-weights.ts';
export { encodeOnnx } from './format/onnx/encode-onnx.ts';
export { readCheckpoint } from './format/read-checkpoint.ts';
export { writeSafetensors } from './format/safetensors/safetensors-write.ts';
export { readWeights, writeWeights } from './format/weights-file.ts';
export { type GraphBuilder, graphBuilder } from './graph/builder.ts';
export { checkGraph } from './graph/check.ts';
export { type Cost, graphCost, type NodeCost, nodeCosts } from './graph/cost.ts';
export { type ConvGeometry, convGeometry } from './graph/geometry.ts';
export type { CheckedGraph, Graph, Node, OpKind } from './graph/graph.ts';
export type { Net } from './graph/net.ts';
export { printGraph } from './graph/print.ts';
export { imagenetClasses } from './hub/labels/class-names.ts';
export { listModels, type ModelEntry } from './hub/models.ts';
export { applyTransform } from './image/apply-transform.ts';
export type { Augmentation } from './image/augmentation.ts';
export { classColours } from './image/class-colours.ts';
export type { DecodeOptions, ImageDecoder } from './image/codec.ts';
export { contactSheet } from './image/contact-sheet.ts';
export { drawBoxes, type LabelledBox } from './image/draw/draw-boxes.ts';
export { drawClasses } from './image/draw/draw-classes.ts';
export { encodePng, type IndexedImage } from './image/encode-png.ts';
export { describeEvalTransform, type EvalTransform, evalTransforms } from './image/eval-transform.ts';
export { fromPixels, type Image, type PixelSource } from './image/image.ts';
export { type Interpolation, resizeImage } from './image/resize.ts';
export {
  type ClassificationMeter,
  type ClassificationMetrics,
  classificationMeter,
} from './metrics/classification.ts';
export { type ConfusedPair, type ConfusionMatrix, confusedPairs } from './metrics/confusion.ts';
export { type BlockOptions, type Form, mobileOneBlock } from './model/block.ts';
export { type MobileOneConfig, mobileOneConfig, type VariantName, variantNames } from './model/config.ts';
export { inferConfig } from './model/infer-config.ts';
export { type InitialScheme, initialWeights, randomStatistics } from './model/initialize.ts';
export { type BuildOptions, buildMobileOne, type OutputName } from './model/mobileone.ts';
export type { RunReport } from './report/run-report.ts';
export { reportFiles, writeReport } from './report/write-report.ts';
export { type BenchOptions, benchNet, type NetBench, profileNet } from './task/bench-net.ts';
export { type Classification, type Classifier, createClassifier, type RankedClass } from './task/classify.ts';
export { type Agreement, compareNets, compareOutputs, probeBatch } from './task/compare-nets.ts';
export {
  type DescribeOptions,
  describeNet,
  describeNodes,
  type FormFacts,
  type NetFacts,
} from './task/describe-net.ts';
export {
  createDetector,
  type DetectedObject,
  type DetectOptions,
  type Detector,
  type HeadOptions,
} from './task/detect.ts';
export {
  type DetectionMetrics,
  type EvaluateDetectorOptions,
  evaluateDetector,
  type TrueObject,
} from './task/evaluate-detector.ts';
export type { HeadEvaluation, SizedBatch } from './task/evaluate-head.ts';
export {
  type EvaluateSegmenterOptions,
  evaluateSegmenter,
  type SegmentationMetrics,
} from './task/evaluate-segmenter.ts';
export { encodeHeadNet, type NamedHeadNet, readHeadNet, readTaskHead } from './task/head-checkpoint.ts';
export { buildHeadNet, type HeadNet } from './task/head-net.ts';
export { type InspectedCheckpoint, inspectCheckpoint } from './task/inspect-checkpoint.ts';
export type { ClassifyOptions, LoadedClassifier, LoadOptions, Picture } from './task/load-classifier.ts';
export type { LoadedDetector, LoadedSegmenter, LoadHeadOptions } from './task/load-head.ts';
export { type LoadedNet, loadNet } from './task/load-net.ts';
export { type NetMetadata, readNetMetadata, writeNetMetadata } from './task/net-metadata.ts';
export { onnxDecoding } from './task/onnx-decoding.ts';
export { type Race, type RaceSchedule, race } from './task/race.ts';
export { type CheckpointNet, readNet } from './task/read-net.ts';
export {
  createSegmenter,
  type Segmentation,
  type SegmentedClass,
  type Segmenter,
} from './task/segment.ts';
export { detectHead, segmentHead, type Task, type TaskHead } from './task/task-head.ts';
export type { Timing } from './task/timing.ts';
export { verifyOnnx } from './task/verify-onnx.ts';
export { maxDifference, type Tensor, tensor, type Weights } from './tensor/tensor.ts';
export { type ClassData, type ClassDataOptions, classData } from './training/batches/class-data.ts';
export { type JointData, jointData } from './training/batches/joint-data.ts';
export type { TrainingBatch, TrainingData } from './training/batches/training-data.ts';
export { boxShares, prepareDetectRun, prepareSegmentRun } from './training/recipe/prepare-head-run.ts';
export { dataFacts, type PreparedRun, prepareRun, type RunPlan } from './training/recipe/prepare-run.ts';
export { checkRecipe, type Recipe, withEpochs, withOverrides, withSize } from './training/recipe/recipe.ts';
export { namedRecipe, type RecipeName, recipeNames } from './training/recipe/recipes.ts';
export type { ClassifyConfig, DetectConfig, RunConfig, SegmentConfig } from './training/recipe/run-config.ts';
export {
  averageMomentum,
  layerScales,
  type Moment,
  type Phase,
  phaseAt,
  type Schedule,
  scheduled,
} from './training/recipe/schedules.ts';
export type { StepReport } from './training/run/epoch.ts';
export { type LearnOptions, learn, type RunSoFar, type TrainResult } from './training/run/learn.ts';
export { type LivingReport, livingReport } from './training/run/living-report.ts';
export { encodeRunCheckpoint, type RunCheckpoint, readRunCheckpoint } from './training/run/run-checkpoint.ts';
export type { MetricsRow, Progress } from './training/run/run-progress.ts';
export { type Judged, type ReportSources, runReport } from './training/run/run-report.ts';
export { memoryRunStore, type RunStore } from './training/run/run-store.ts';
export { readRun, type TrainOptions, train } from './training/run/train.ts';
export { type StepRules, trainingStep } from './training/step/classify-step.ts';
export { type AddLoss, learningStep, stepInputs, type TrainingStep } from './training/step/learning-step.ts';
export { evaluationWeights, type UpdateRules, withUpdates } from './training/step/update-step.ts';
export { type ClassifySources, classifyTask } from './training/task/classify-task.ts';
export { detectTask } from './training/task/detect-task.ts';
export type { LearningTask } from './training/task/learning-task.ts';
export { segmentTask } from './training/task/segment-task.ts';
export { type Differentiated, differentiate } from './transform/differentiate.ts';
export { mergeBranches } from './transform/merge-branches.ts';
export { reparameterize } from './transform/reparameterize.ts';
export { type TrainNormsOptions, trainNorms } from './transform/train-norms.ts';
