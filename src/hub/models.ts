import { HubError } from '../errors.ts';
import { editDistance } from './edit-distance.ts';
import type { LicenceId } from './licences.ts';

/** Who trained or converted a checkpoint, which decides its tensor names. */
export type ModelFamily = 'apple' | 'mmpretrain' | 'timm' | 'corenet';
export type ModelVariant = 's0' | 's1' | 's2' | 's3' | 's4';
/** Name of an evaluation transform; what each does is defined with the image transforms. */
export type TransformName = 'apple' | 'mmpretrain' | 'timm-s0' | 'timm' | 'corenet';

/** ImageNet-1k validation accuracy in percent, as the source states it. */
export interface PublishedAccuracy {
  readonly top1: number;
  /** Absent where the source gives top-1 only. */
  readonly top5?: number;
  readonly source: string;
}

export interface ModelEntry {
  readonly name: string;
  /** Other names that mean exactly this checkpoint. */
  readonly aliases: readonly string[];
  readonly variant: ModelVariant;
  readonly family: ModelFamily;
  /** `train` has the branches and batch norms, `deploy` is already one convolution per block. */
  readonly form: 'train' | 'deploy';
  /** Where it is published, in the order to try. */
  readonly urls: readonly string[];
  /** Its name in the cache and on a mirror; unique in this table. */
  readonly file: string;
  /** First hex digits of the file's SHA-256, where the publisher gives them. */
  readonly sha256Prefix?: string;
  readonly transform: TransformName;
  readonly labels: 'imagenet1k';
  readonly licence: LicenceId;
  readonly accuracy: PublishedAccuracy;
}

/** What differs from variant to variant: hash digits of mmpretrain's files and every source's top-1 and top-5. */
interface VariantFacts {
  readonly variant: ModelVariant;
  readonly mmHash: string;
  readonly mmConvertedHash: string;
  readonly mm: readonly [number, number];
  readonly mmConverted: readonly [number, number];
  readonly timm: readonly [number, number];
  readonly apple: number;
}

// biome-ignore format: a table
const facts: readonly VariantFacts[] = [
  { variant: 's0', mmHash: '0bc94952', mmConvertedHash: '007ae971', mm: [71.34, 89.87], mmConverted: [71.36, 89.87], timm: [71.398, 89.864], apple: 71.4 },
  { variant: 's1', mmHash: 'ceeef467', mmConvertedHash: '473c8469', mm: [75.72, 92.54], mmConverted: [75.76, 92.77], timm: [75.760, 92.788], apple: 75.9 },
  { variant: 's2', mmHash: '9c7ecb97', mmConvertedHash: 'ed2e4c30', mm: [77.37, 93.34], mmConverted: [77.39, 93.63], timm: [77.504, 93.664], apple: 77.4 },
  { variant: 's3', mmHash: 'c95eb3bf', mmConvertedHash: '84d6a02c', mm: [78.06, 93.83], mmConverted: [77.93, 93.89], timm: [78.002, 93.864], apple: 78.1 },
  { variant: 's4', mmHash: '28d888cb', mmConvertedHash: 'ce9509ee', mm: [79.69, 94.46], mmConverted: [79.30, 94.37], timm: [79.446, 94.490], apple: 79.4 },
];

const openMmlab = 'https://download.openmmlab.com/mmclassification/v0/mobileone';
const appleAssets = 'https://docs-assets.developer.apple.com/ml-research';

/**
 * mmpretrain's own training. The short names mean this checkpoint: it is the only family under a common open
 * licence (Apache-2.0) and the only one whose file names carry digits of the SHA-256, so that a download can be
 * told from any other file.
 */
function mmpretrain({ variant, mmHash, mm }: VariantFacts): ModelEntry {
  const file = `mobileone-${variant}_8xb32_in1k_20221110-${mmHash}.pth`;
  return {
    name: `mobileone-${variant}_8xb32_in1k`,
    aliases: [`mobileone-${variant}`, variant],
    variant,
    family: 'mmpretrain',
    form: 'train',
    urls: [`${openMmlab}/${file}`],
    file,
    sha256Prefix: mmHash,
    transform: 'mmpretrain',
    labels: 'imagenet1k',
    licence: 'apache-2.0',
    accuracy: { top1: mm[0], top5: mm[1], source: 'mmpretrain configs/mobileone/metafile.yml' },
  };
}

/** Apple's weights under mmpretrain's tensor names, as mmpretrain listed them before its own training. */
function mmpretrainConverted({ variant, mmConvertedHash, mmConverted }: VariantFacts): ModelEntry {
  const file = `mobileone-${variant}_3rdparty_in1k_20220915-${mmConvertedHash}.pth`;
  return {
    name: `mobileone-${variant}_3rdparty_8xb32_in1k`,
    aliases: [`mobileone-${variant}_3rdparty_8xb128_in1k`, `mobileone-${variant}_3rdparty_in1k`],
    variant,
    family: 'mmpretrain',
    form: 'train',
    urls: [`${openMmlab}/${file}`],
    file,
    sha256Prefix: mmConvertedHash,
    transform: 'mmpretrain',
    labels: 'imagenet1k',
    licence: 'apple-ml-mobileone',
    accuracy: {
      top1: mmConverted[0],
      top5: mmConverted[1],
      source: 'mmpretrain configs/mobileone/README.md of 2022 (converted weights)',
    },
  };
}

function timm({ variant, timm: [top1, top5] }: VariantFacts): ModelEntry {
  const name = `mobileone_${variant}.apple_in1k`;
  return {
    name,
    aliases: [`timm/${name}`],
    variant,
    family: 'timm',
    form: 'train',
    urls: [`https://huggingface.co/timm/${name}/resolve/main/model.safetensors`],
    file: `${name}.safetensors`,
    transform: variant === 's0' ? 'timm-s0' : 'timm',
    labels: 'imagenet1k',
    licence: 'mobileone-license',
    accuracy: { top1, top5, source: 'timm results/results-imagenet.csv' },
  };
}

function apple({ variant, apple: top1 }: VariantFacts, form: 'train' | 'deploy'): ModelEntry {
  const name = `mobileone_${variant}${form === 'train' ? '_unfused' : ''}`;
  return {
    name,
    aliases: [`apple/${name}`],
    variant,
    family: 'apple',
    form,
    urls: [`${appleAssets}/datasets/mobileone/${name}.pth.tar`],
    file: `${name}.pth.tar`,
    transform: 'apple',
    labels: 'imagenet1k',
    licence: 'apple-ml-mobileone',
    accuracy: { top1, source: 'apple/ml-mobileone README.md, arXiv:2206.04040' },
  };
}

const corenet: ModelEntry = {
  name: 'corenet-mobileone-s1',
  aliases: ['corenet/mobileone-s1'],
  variant: 's1',
  family: 'corenet',
  form: 'train',
  urls: [`${appleAssets}/models/corenet/v0.1.0/mobileone/imagenet-1k/mobileone-s1.pt`],
  file: 'corenet-mobileone-s1.pt',
  transform: 'corenet',
  labels: 'imagenet1k',
  licence: 'apple-corenet',
  accuracy: { top1: 75.316, top5: 92.544, source: 'apple/corenet projects/mobileone/README.md' },
};

/** Every checkpoint known by name. */
export const models: readonly ModelEntry[] = [
  ...facts.map(mmpretrain),
  ...facts.map(mmpretrainConverted),
  ...facts.map(timm),
  ...facts.map((row) => apple(row, 'deploy')),
  ...facts.map((row) => apple(row, 'train')),
  corenet,
];

const namesOf = (entry: ModelEntry): readonly string[] => [entry.name, ...entry.aliases];
const byName = new Map(
  models.flatMap((entry) => namesOf(entry).map((name) => [name.toLowerCase(), entry] as const)),
);
const byFile = new Map(models.map((entry) => [entry.file, entry] as const));

/** The entry of a name or alias, in any case of letters, or undefined. */
export function findModel(name: string): ModelEntry | undefined {
  return byName.get(name.trim().toLowerCase());
}

/** The entry whose published file has this base name: a file downloaded by hand keeps its transform and licence. */
export function findModelByFile(fileName: string): ModelEntry | undefined {
  return byFile.get(fileName);
}

/** Up to `count` known names closest to `name` by edit distance, nearest first; none that is mostly different. */
export function suggestModels(name: string, count = 3): readonly string[] {
  const wanted = name.trim().toLowerCase();
  const limit = Math.max(1, Math.floor(wanted.length / 2));
  return [...byName]
    .map(([key, entry]) => ({
      name: namesOf(entry).find((known) => known.toLowerCase() === key) ?? key,
      distance: editDistance(wanted, key),
    }))
    .filter((candidate) => candidate.distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, count)
    .map((candidate) => candidate.name);
}

/** @throws HubError with the nearest known names when there is no such model */
export function resolveModelName(name: string): ModelEntry {
  const entry = findModel(name);
  if (entry) return entry;
  const near = suggestModels(name);
  const hint =
    near.length > 0 ? `Did you mean ${near.join(', ')}?` : 'The shortest names are s0, s1, s2, s3 and s4.';
  throw new HubError(
    `hub: no model is called "${name}". ${hint} The command "mobileone models" lists all ${models.length}.`,
    { name, suggestions: near },
  );
}

/**
 * Entries with a name or alias that matches `pattern`: `*` is any run of characters, `?` is one, letters in any
 * case. A pattern without a wildcard at its end matches as a prefix, as in mmpretrain's `list_models`.
 */
export function listModels(pattern = '*'): readonly ModelEntry[] {
  const open = pattern.endsWith('*') ? pattern : `${pattern}*`;
  const source = open
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.');
  const wanted = new RegExp(`^${source}$`, 'i');
  return models.filter((entry) => namesOf(entry).some((name) => wanted.test(name)));
}
