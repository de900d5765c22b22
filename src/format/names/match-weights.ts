import { WeightsError } from '../../errors.ts';
import { formatShape, type Shape, sameShape } from '../../tensor/tensor.ts';
import { type Family, families, type Slot } from './key-maps.ts';
import { parseWeightName, type WeightKey } from './weight-key.ts';

export interface WrongShape {
  readonly name: string;
  readonly expected: Shape;
  readonly found: Shape;
}

/** How the tensors found differ from those a net needs; all by our names. */
export interface WeightsMatch {
  readonly complete: boolean;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly wrongShape: readonly WrongShape[];
  /** One sentence, when a cause explains the differences. */
  readonly cause: string | undefined;
}

type Shapes = ReadonlyMap<string, Shape>;

/** Compares what a net expects with what a file has. Dimensions must be equal, order does not matter. */
export function matchWeights(expected: Shapes, found: Shapes): WeightsMatch {
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  const unexpected = [...found.keys()].filter((name) => !expected.has(name));
  const wrongShape: WrongShape[] = [];
  for (const [name, shape] of expected) {
    const other = found.get(name);
    if (other && !sameShape(shape, other)) wrongShape.push({ name, expected: shape, found: other });
  }
  const complete = missing.length + unexpected.length + wrongShape.length === 0;
  const match = { missing, unexpected, wrongShape };
  const cause = complete ? undefined : findCause({ ...match, expected, found });
  return { complete, ...match, cause };
}

interface Difference extends Omit<WeightsMatch, 'complete' | 'cause'> {
  readonly expected: Shapes;
  readonly found: Shapes;
}

/** Causes in the order of what explains most; the first that applies is told. */
const causes: readonly ((difference: Difference) => string | undefined)[] = [
  emptyFile,
  otherNames,
  otherForm,
  otherWidths,
  otherDepth,
  otherBranches,
  squeezeExcite,
  otherHead,
];

function findCause(difference: Difference): string | undefined {
  for (const cause of causes) {
    const sentence = cause(difference);
    if (sentence) return sentence;
  }
  return undefined;
}

function emptyFile({ found }: Difference): string | undefined {
  return found.size === 0 ? 'the file has no tensors' : undefined;
}

function otherNames({ expected, missing, unexpected }: Difference): string | undefined {
  if (missing.length < expected.size || unexpected.length === 0) return undefined;
  if (unexpected.every((name) => name.startsWith('module.'))) {
    return 'every name starts with "module." (saved from DataParallel); remove this prefix';
  }
  const family = families.find(
    (one) => one !== 'mobileone' && unexpected.some((name) => isBlockName(name, one)),
  );
  if (family) return `the names are those of ${family}; translate them first with toCanonicalNames`;
  return 'no name is known, so these are the weights of another net';
}

function isBlockName(name: string, family: Family): boolean {
  const key = parseWeightName(name, family);
  return key !== undefined && key.place.kind !== 'head';
}

function otherForm({ expected, found }: Difference): string | undefined {
  const [net, file] = [formOf(expected), formOf(found)];
  if (!net || !file || net === file) return undefined;
  return file === 'deploy'
    ? 'the file holds the deploy form, the net is in train form; build the net in deploy form, branches cannot be won back'
    : 'the file holds the train form, the net is in deploy form; load it into the train form and re-parameterize that';
}

function formOf(shapes: Shapes): 'train' | 'deploy' | undefined {
  for (const { slot } of keysOf(shapes)) {
    if (slot === 'fused') return 'deploy';
    if (slot === 'conv' || slot === 'scale' || slot === 'skip') return 'train';
  }
  return undefined;
}

function otherWidths({ expected, found }: Difference): string | undefined {
  const [net, file] = [widthsOf(expected), widthsOf(found)];
  if (file === '' || net === file) return undefined;
  return `the stages are [${net}] channels wide in the net and [${file}] in the file; this is another variant`;
}

/** Output channels of the stem and of each stage; a stage's depthwise weights [C,1,k,k] have its input's. */
function widthsOf(shapes: Shapes): string {
  const widths = new Map<number, number>();
  for (const [name, shape] of shapes) {
    const key = parseWeightName(name, 'mobileone');
    if (key?.role !== 'weight' || (key.slot !== 'conv' && key.slot !== 'fused')) continue;
    if (key.place.kind === 'stem') widths.set(-1, shape[0] ?? 0);
    else if (key.place.kind === 'block' && shape[1] !== 1) widths.set(key.place.stage, shape[0] ?? 0);
  }
  return [...widths]
    .sort(([a], [b]) => a - b)
    .map(([, width]) => width)
    .join(',');
}

function otherDepth({ expected, found }: Difference): string | undefined {
  const [net, file] = [blockCount(expected), blockCount(found)];
  return net === file ? undefined : `the net has ${net} blocks, the file ${file}; this is another variant`;
}

function blockCount(shapes: Shapes): number {
  const places = keysOf(shapes).map(({ place }) =>
    place.kind === 'block' ? `${place.stage}.${place.block}` : '',
  );
  return new Set(places.filter((place) => place !== '')).size;
}

function otherBranches({ expected, found }: Difference): string | undefined {
  const [net, file] = [branchCount(expected), branchCount(found)];
  return net === file ? undefined : `the net has ${net} convolution branches a block, the file ${file}`;
}

function branchCount(shapes: Shapes): number {
  return Math.max(0, ...keysOf(shapes).map(({ slot, branch }) => (slot === 'conv' ? branch + 1 : 0)));
}

function squeezeExcite({ missing, unexpected }: Difference): string | undefined {
  const isPart = (name: string) => isSlot(name, 'squeeze') || isSlot(name, 'excite');
  if (missing.some(isPart) && missing.every(isPart)) {
    return 'the net has squeeze-and-excite blocks (as S4), the file has none for them';
  }
  if (unexpected.some(isPart) && unexpected.every(isPart)) {
    return 'the file has squeeze-and-excite blocks (as S4), the net has none for them';
  }
  return undefined;
}

function otherHead({ missing, unexpected, wrongShape, expected, found }: Difference): string | undefined {
  const names = [...missing, ...unexpected, ...wrongShape.map(({ name }) => name)];
  if (!names.every((name) => isSlot(name, 'head'))) return undefined;
  if (missing.length > 0) return 'the file has no classifier, only the backbone';
  if (unexpected.length > 0) return 'the net has no classifier, the file has one';
  const [net, file] = [expected.get('head.weight')?.[0], found.get('head.weight')?.[0]];
  return `only the classifier differs: the net has ${net} classes, the file ${file}`;
}

function isSlot(name: string, slot: Slot): boolean {
  return parseWeightName(name, 'mobileone')?.slot === slot;
}

function keysOf(shapes: Shapes): WeightKey[] {
  return [...shapes.keys()].flatMap((name) => parseWeightName(name, 'mobileone') ?? []);
}

const listed = 5;

/** The error that reports a match that is not complete: counts, some names of each kind, the likely cause. */
export function weightsError(where: string, match: WeightsMatch): WeightsError {
  const { missing, unexpected, wrongShape, cause } = match;
  const shapes = wrongShape.map(
    ({ name, expected, found }) => `${name} ${formatShape(found)} instead of ${formatShape(expected)}`,
  );
  const parts = [
    `${missing.length} missing${some(missing)}`,
    `${unexpected.length} unexpected${some(unexpected)}`,
    `${wrongShape.length} of another shape${some(shapes)}`,
  ];
  const end = cause ? ` Likely cause: ${cause}.` : '';
  return new WeightsError(`weights "${where}" do not fit the net: ${parts.join('; ')}.${end}`, { ...match });
}

function some(names: readonly string[]): string {
  if (names.length === 0) return '';
  const rest = names.length > listed ? `, and ${names.length - listed} more` : '';
  return ` (${names.slice(0, listed).join(', ')}${rest})`;
}
