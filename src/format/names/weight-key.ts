import { type Family, families, type KeyMap, keyMaps, type Role, type Slot } from './key-maps.ts';

/** What a tensor of a MobileOne net is, whatever a family calls it. */
export interface WeightKey {
  readonly place: Place;
  readonly slot: Slot;
  /** Branch number of `conv`, otherwise 0. */
  readonly branch: number;
  readonly role: Role;
}

export type Place =
  | { readonly kind: 'stem' }
  | { readonly kind: 'block'; readonly stage: number; readonly block: number }
  | { readonly kind: 'head' };

interface Rule {
  readonly suffix: string;
  readonly slot: Slot;
  readonly role: Role;
  /** Position in a block as the family writes it. */
  readonly rank: number;
}

interface CompiledMap {
  readonly place: RegExp;
  readonly bySuffix: ReadonlyMap<string, Rule>;
  readonly byMeaning: ReadonlyMap<string, Rule>;
}

const compiled: ReadonlyMap<Family, CompiledMap> = new Map(
  families.map((family) => [family, compile(keyMaps[family])]),
);

/** The meaning of a name; undefined when the family has no such name. */
export function parseWeightName(name: string, family: Family): WeightKey | undefined {
  const map = compiled.get(family);
  const parts = map?.place.exec(name)?.groups;
  if (!map || !parts) return undefined;
  const { stem, stage, block, suffix = '' } = parts;
  const numbered = /^([a-z_]+\.)(0|[1-9]\d{0,2})(\..+)$/.exec(suffix);
  const template = numbered ? `${numbered[1]}{b}${numbered[3]}` : suffix;
  const place = placeOf(stem, stage, block, keyMaps[family].stage.first);
  const rule = map.bySuffix.get(place?.kind === 'head' ? `head:${template}` : template);
  if (!rule || !place) return undefined;
  return { place, slot: rule.slot, role: rule.role, branch: numbered ? Number(numbered[2]) : 0 };
}

function placeOf(
  stem: string | undefined,
  stage: string | undefined,
  block: string | undefined,
  first: number,
): Place | undefined {
  if (stem !== undefined) return { kind: 'stem' };
  if (stage === undefined) return { kind: 'head' };
  if (Number(stage) < first) return undefined;
  return { kind: 'block', stage: Number(stage) - first, block: Number(block) };
}

/** The family's name for a tensor; undefined when it has none (our own names do not count batches). */
export function formatWeightName(key: WeightKey, family: Family): string | undefined {
  const rule = ruleOf(key, family);
  if (!rule) return undefined;
  const { stem, stage, head } = keyMaps[family];
  const { place } = key;
  if (place.kind === 'head') return `${head}.${key.role}`;
  const prefix = place.kind === 'stem' ? stem : `${stage.prefix}${place.stage + stage.first}.${place.block}`;
  return `${prefix}.${rule.suffix.replace('{b}', String(key.branch))}`;
}

/** Orders keys as the family writes them: stem, stages, head; in a block by slot, branch, tensor. */
export function compareWeightKeys(a: WeightKey, b: WeightKey, family: Family): number {
  const [first, second] = [sortKey(a, family), sortKey(b, family)];
  const i = first.findIndex((value, index) => value !== second[index]);
  return i < 0 ? 0 : (first[i] ?? 0) - (second[i] ?? 0);
}

function sortKey(key: WeightKey, family: Family): readonly number[] {
  const { place } = key;
  const where =
    place.kind === 'stem' ? [-1, 0] : place.kind === 'head' ? [1e9, 0] : [place.stage, place.block];
  const slot = keyMaps[family].order.indexOf(key.slot);
  return [...where, slot, key.branch, ruleOf(key, family)?.rank ?? 0];
}

function ruleOf({ slot, role }: WeightKey, family: Family): Rule | undefined {
  return compiled.get(family)?.byMeaning.get(`${slot} ${role}`);
}

function compile(map: KeyMap): CompiledMap {
  const rules = [...map.order, 'head' as const].flatMap((slot) => slotRules(slot, map));
  const [stem, stage, head] = [map.stem, map.stage.prefix, map.head].map(escapePattern);
  return {
    place: new RegExp(
      `^(?:(?<stem>${stem})|${stage}(?<stage>0|[1-9]\\d{0,2})\\.(?<block>0|[1-9]\\d{0,3})|${head})\\.(?<suffix>.+)$`,
    ),
    bySuffix: new Map(rules.map((rule) => [rule.suffix, rule])),
    byMeaning: new Map(rules.map((rule) => [`${rule.slot} ${rule.role}`, rule])),
  };
}

function slotRules(slot: Slot, map: KeyMap): Rule[] {
  const named = (role: Role, suffix: string): [Role, string] => [role, suffix];
  const affine = (path: string) =>
    (['weight', 'bias'] as const).map((role) => named(role, path === '' ? role : `${path}.${role}`));
  const norm = (path: string) => map.normTensors.map(([role, name]) => named(role, `${path}.${name}`));
  const tensors: { readonly [S in Slot]: () => [Role, string][] } = {
    conv: () => [named('weight', map.conv.weight), ...norm(map.conv.norm)],
    scale: () => [named('weight', map.scale.weight), ...norm(map.scale.norm)],
    skip: () => norm(map.skip.norm),
    squeeze: () => affine(map.squeeze),
    excite: () => affine(map.excite),
    fused: () => affine(map.fused),
    head: () => affine('').map(([role]) => named(role, `head:${role}`)),
  };
  return tensors[slot]().map(([role, suffix], rank) => ({ slot, role, suffix, rank }));
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
