/** Element-wise functions and their derivatives, in f64: one row per function, read by every engine and exporter. */
export interface ActivationRule {
  readonly value: (x: number) => number;
  /** d value / d x; at a kink, the right-hand value PyTorch uses. */
  readonly derivative: (x: number) => number;
  /** The derivative as a function of the value, where it is one. */
  readonly derivativeAtOutput?: (y: number) => number;
  /** Inputs where the derivative jumps, which gradient checks must avoid. */
  readonly kinks: readonly number[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const activations = {
  relu: {
    value: (x) => Math.max(x, 0),
    derivative: (x) => (x > 0 ? 1 : 0),
    derivativeAtOutput: (y) => (y > 0 ? 1 : 0),
    kinks: [0],
  },
  /** relu(x + 1) − 1, arXiv:1511.07289's SReLU; what `centreActivations` makes of relu. */
  shiftedRelu: {
    value: (x) => Math.max(x, -1),
    derivative: (x) => (x > -1 ? 1 : 0),
    derivativeAtOutput: (y) => (y > -1 ? 1 : 0),
    kinks: [-1],
  },
  relu6: {
    value: (x) => Math.min(Math.max(x, 0), 6),
    derivative: (x) => (x > 0 && x < 6 ? 1 : 0),
    derivativeAtOutput: (y) => (y > 0 && y < 6 ? 1 : 0),
    kinks: [0, 6],
  },
  sigmoid: { value: sigmoid, derivative: (x) => sigmoid(x) * (1 - sigmoid(x)), kinks: [] },
  hardSigmoid: {
    value: (x) => Math.min(Math.max(x / 6 + 0.5, 0), 1),
    derivative: (x) => (x > -3 && x < 3 ? 1 / 6 : 0),
    kinks: [-3, 3],
  },
  hardSwish: {
    value: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
    derivative: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    kinks: [-3, 3],
  },
  silu: {
    value: (x) => x * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    kinks: [],
  },
} as const satisfies Readonly<Record<string, ActivationRule>>;

export type ActivationName = keyof typeof activations;

/** Functions whose derivative follows from their value: what went in need not be kept. */
export type OutputActivation = {
  [F in ActivationName]: (typeof activations)[F] extends { readonly derivativeAtOutput: unknown } ? F : never;
}[ActivationName];

export function isOutputActivation(fn: ActivationName): fn is OutputActivation {
  return 'derivativeAtOutput' in activations[fn];
}
