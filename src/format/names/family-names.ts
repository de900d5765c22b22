import { WeightsError } from '../../errors.ts';
import { type Family, families, keyMaps } from './key-maps.ts';
import { compareWeightKeys, formatWeightName, parseWeightName, type WeightKey } from './weight-key.ts';

export type Form = 'train' | 'deploy';

export interface DetectedFamily {
  readonly family: Family;
  readonly form: Form;
}

/** Names of a file sorted by what they are. */
export interface CanonicalNames {
  /** Name in the file → our name. */
  readonly names: ReadonlyMap<string, string>;
  /** `num_batches_tracked`: known, without a name here. */
  readonly ignored: readonly string[];
  /** Names the family does not have. */
  readonly unknown: readonly string[];
}

export interface FamilyName {
  readonly name: string;
  /** Our name; null for `num_batches_tracked`, which is written as an i64 scalar 0. */
  readonly canonical: string | null;
}

/** Nets whose checkpoints end up here by mistake, by one telling name. */
const otherNets: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\.token_mixer\.|\.blocks\.\d+\.mlp\.fc1\./, 'FastViT'],
  [/rbr_dense|rbr_1x1/, 'RepVGG'],
  [/\.attn\.qkv\.|\.self_attn\./, 'a vision transformer'],
  [/^(?:backbone\.)?layer1\.0\.conv1\./, 'a ResNet'],
  [/^blocks\.\d+\.\d+\.conv_(?:pw|dw|pwl)\./, 'a timm EfficientNet or MobileNet'],
  [/^features\.\d+\./, 'a torchvision MobileNet, EfficientNet or VGG'],
  [/^model\.\d+\.(?:conv|cv\d|m)\./, 'a YOLO'],
];

/**
 * Recognizes by its names whose MobileOne a state dict is and in which form.
 * @throws WeightsError saying what the names look like instead, or that both forms are mixed
 */
export function detectFamily(names: Iterable<string>): DetectedFamily {
  const list = [...names];
  const [best] = families
    .map((family) => ({ family, keys: blockKeys(list, family) }))
    .sort((a, b) => b.keys.length - a.keys.length);
  if (!best || best.keys.length === 0) throw unrecognized(list);
  const fused = best.keys.filter((key) => key.slot === 'fused').length;
  const branched = best.keys.length - fused;
  if (fused > 0 && branched > 0) {
    throw new WeightsError(
      `weights: ${fused} names are of the deploy form and ${branched} of the train form; a net is in one of them. Re-parameterize the whole net, then save it.`,
      { family: best.family, fused, branched },
    );
  }
  return { family: best.family, form: fused > 0 ? 'deploy' : 'train' };
}

/** The names that tell family and form: convolutions and norms of stem and blocks, not squeeze-excite or head. */
function blockKeys(names: readonly string[], family: Family): readonly WeightKey[] {
  const forms = new Set(['conv', 'scale', 'skip', 'fused']);
  return names.flatMap((name) => {
    const key = parseWeightName(name, family);
    return key && forms.has(key.slot) ? [key] : [];
  });
}

function unrecognized(names: readonly string[]): WeightsError {
  const some = `${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`;
  const prefixed = findPrefix(names);
  const other = otherNets.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
  const guess = prefixed
    ? `they look like those of ${keyMaps[prefixed.family].title} behind the prefix "${prefixed.prefix}"; remove it`
    : other
      ? `they look like those of ${other}`
      : `known are the names of ${families.map((family) => keyMaps[family].title).join(', ')}`;
  const found =
    names.length === 0 ? 'the file has no tensors' : `the names (${some}) are of no known MobileOne`;
  return new WeightsError(`weights: ${found}: ${guess}.`, { names: names.slice(0, 20) });
}

/** A prefix that some wrapper put before names which a family would know without it. */
function findPrefix(names: readonly string[]): { prefix: string; family: Family } | undefined {
  for (const name of names.slice(0, 100)) {
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const family = families.find((one) => blockKeys([name.slice(dot + 1)], one).length > 0);
      if (family) return { prefix: name.slice(0, dot + 1), family };
    }
  }
  return undefined;
}

/** Translates a family's names to ours, in the order given. */
export function toCanonicalNames(names: Iterable<string>, family: Family): CanonicalNames {
  const canonical = new Map<string, string>();
  const ignored: string[] = [];
  const unknown: string[] = [];
  for (const name of names) {
    const key = parseWeightName(name, family);
    const ours = key && formatWeightName(key, 'mobileone');
    if (ours !== undefined) canonical.set(name, ours);
    else if (key) ignored.push(name);
    else unknown.push(name);
  }
  return { names: canonical, ignored, unknown };
}

/**
 * Translates our names to a family's: every key of its state dict, in its order.
 * @throws WeightsError for a name that is not ours
 */
export function toFamilyNames(canonicalNames: Iterable<string>, family: Family): readonly FamilyName[] {
  const keys: { key: WeightKey; canonical: string | null }[] = [];
  for (const canonical of canonicalNames) {
    const key = parseWeightName(canonical, 'mobileone');
    if (!key) {
      throw new WeightsError(
        `weights: "${canonical}" is no name of a MobileOne tensor, so ${keyMaps[family].title} has none for it.`,
        { name: canonical },
      );
    }
    keys.push({ key, canonical });
    if (key.role === 'variance') keys.push({ key: { ...key, role: 'tracked' }, canonical: null });
  }
  keys.sort((a, b) => compareWeightKeys(a.key, b.key, family));
  return keys.flatMap(({ key, canonical }) => {
    const name = formatWeightName(key, family);
    return name === undefined ? [] : [{ name, canonical }];
  });
}
