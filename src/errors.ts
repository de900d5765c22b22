/**
 * Every failure a user can cause or meet is one of these. A message says where, what was expected, what was
 * found and what to do; `code` is stable for programs, `details` carries the numbers.
 */
export type ErrorCode =
  | 'shape' // tensors or attributes that do not fit together
  | 'graph' // a graph that is not well formed
  | 'format' // bytes that are not what they claim to be
  | 'weights' // a checkpoint that does not fit the net
  | 'image' // a picture that cannot be decoded or used
  | 'hub' // a model name, download or cache problem
  | 'engine' // an engine or device that cannot do what was asked
  | 'data' // a dataset or its annotations
  | 'training' // a run that cannot go on
  | 'usage'; // wrong arguments or options

export class MobileOneError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = `MobileOne${code[0]?.toUpperCase()}${code.slice(1)}Error`;
    this.code = code;
    this.details = details;
  }
}

type Details = Readonly<Record<string, unknown>>;

export class ShapeError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('shape', message, details, options);
  }
}
export class GraphError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('graph', message, details, options);
  }
}
export class FormatError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('format', message, details, options);
  }
}
export class WeightsError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('weights', message, details, options);
  }
}
export class ImageError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('image', message, details, options);
  }
}
export class HubError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('hub', message, details, options);
  }
}
export class EngineError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('engine', message, details, options);
  }
}
export class TrainingError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('training', message, details, options);
  }
}
export class UsageError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('usage', message, details, options);
  }
}
/** Datasets and annotations: what is in them, not how it is coded. */
export class DataError extends MobileOneError {
  constructor(message: string, details?: Details, options?: ErrorOptions) {
    super('data', message, details, options);
  }
}
