import * as v from 'valibot';
import { ImageError } from '../errors.ts';
import { interpolations } from './resize.ts';

const side = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16_384));
const finite = v.pipe(v.number(), v.finite());
const positive = v.pipe(finite, v.gtValue(0));
const rgb = <S extends typeof finite | typeof positive>(item: S) => v.strictTuple([item, item, item]);

const schema = v.strictObject({
  /** `shortest`: short side to `size`, long side truncated (size·long/short); `exact`: to width × height. */
  resize: v.variant('kind', [
    v.strictObject({ kind: v.literal('shortest'), size: side }),
    v.strictObject({ kind: v.literal('exact'), width: side, height: side }),
  ]),
  /** Centre crop after resizing, filled up with black where the picture is smaller; null for none. */
  crop: v.nullable(v.strictObject({ width: side, height: side })),
  /** Pillow's filter of that name. */
  interpolation: v.picklist(interpolations),
  /** What white is before mean and std: 1 (pixel/255) or 255 (pixel as it is). */
  scale: v.picklist([1, 255]),
  /** Per channel R, G, B, in units of `scale`: (x − mean)/std, in float32. */
  mean: rgb(finite),
  std: rgb(positive),
});

/** How a family of checkpoints prepares a picture, as data: stored in checkpoints, printed, compared. */
export type EvalTransform = DeepReadonly<v.InferOutput<typeof schema>>;

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

const imagenet = { scale: 1, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const crop224 = { crop: { width: 224, height: 224 }, interpolation: 'bilinear' } as const;
const shortest = (size: number) => ({ kind: 'shortest', size }) as const;

/** Each family's published evaluation transform; they differ in the resize and in how they normalize. */
export const evalTransforms = {
  apple: { resize: shortest(256), ...crop224, ...imagenet },
  mmpretrain: {
    resize: shortest(256),
    ...crop224,
    scale: 255,
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
  },
  'timm-s0': { resize: shortest(256), ...crop224, ...imagenet },
  timm: { resize: shortest(248), ...crop224, ...imagenet },
  corenet: { resize: shortest(256), ...crop224, scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
  'plain-224': {
    resize: { kind: 'exact', width: 224, height: 224 },
    crop: null,
    interpolation: 'bilinear',
    ...imagenet,
  },
} as const satisfies Readonly<Record<string, EvalTransform>>;

export type EvalTransformName = keyof typeof evalTransforms;

const isName = (name: string): name is EvalTransformName => Object.hasOwn(evalTransforms, name);

/** @throws ImageError naming every field of `value` that is not as it should be */
export function checkEvalTransform(value: unknown, where = 'eval transform'): EvalTransform {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`);
  throw new ImageError(`${where}: ${faults.join('; ')}.`, { faults });
}

/** The text that checkpoints carry; `parseEvalTransform` reads it back. */
export function serializeEvalTransform(transform: EvalTransform): string {
  return JSON.stringify(checkEvalTransform(transform));
}

/** @throws ImageError when the text is not JSON or not an eval transform */
export function parseEvalTransform(text: string, where = 'eval transform'): EvalTransform {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ImageError(
      `${where}: expected JSON, found ${JSON.stringify(text.slice(0, 40))}.`,
      {},
      { cause },
    );
  }
  return checkEvalTransform(value, where);
}

/**
 * The transform meant by a family's name or given as data, at another input size if asked: the crop becomes
 * `inputSize` square and the resize keeps its ratio to the crop, truncated (256/224 at 256 resizes to 292).
 * @throws ImageError for an unknown name, bad data or a bad size
 */
export function resolveEvalTransform(
  source: string | EvalTransform,
  options: { readonly inputSize?: number } = {},
): EvalTransform {
  if (typeof source === 'string' && !isName(source)) {
    throw new ImageError(
      `eval transform "${source}" is not known; known are ${Object.keys(evalTransforms).join(', ')}.`,
      { name: source },
    );
  }
  const base = typeof source === 'string' ? evalTransforms[source] : checkEvalTransform(source);
  const { inputSize } = options;
  if (inputSize === undefined) return base;
  const { crop, resize } = base;
  const scaled = (length: number, from: number): number => Math.trunc((inputSize * length) / from);
  const shorter = crop ? Math.min(crop.width, crop.height) : 0;
  const square = { width: inputSize, height: inputSize };
  return checkEvalTransform({
    ...base,
    crop: crop && square,
    resize:
      resize.kind === 'shortest'
        ? { kind: 'shortest', size: crop ? scaled(resize.size, shorter) : inputSize }
        : crop
          ? {
              kind: 'exact',
              width: scaled(resize.width, crop.width),
              height: scaled(resize.height, crop.height),
            }
          : { kind: 'exact', ...square },
  });
}

/** One line for people: `short side 256 (bilinear), centre crop 224×224, RGB 0–1, mean …, std …`. */
export function describeEvalTransform(transform: EvalTransform): string {
  const { resize, crop, interpolation, scale, mean, std } = transform;
  const size = resize.kind === 'shortest' ? `short side ${resize.size}` : `${resize.width}×${resize.height}`;
  const plain = mean.every((m) => m === 0) && std.every((s) => s === 1);
  return [
    `resize ${size} (${interpolation})`,
    crop ? `centre crop ${crop.width}×${crop.height}` : 'no crop',
    `RGB 0–${scale}`,
    plain ? 'no mean or std' : `mean ${mean.join(' ')}, std ${std.join(' ')}`,
  ].join(', ');
}
