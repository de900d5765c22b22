import { HubError } from '../errors.ts';
import type { ByteSource } from '../format/byte-source.ts';
import { type BuiltInModel, findBuiltIn } from './built-in.ts';
import { contentFault } from './content-check.ts';
import { type Attempt, type DownloadOptions, download, openCached } from './download.ts';
import { type Licence, licences } from './licences.ts';
import { findModel, findModelByFile, type ModelEntry, resolveModelName } from './models.ts';
import type { CacheStore } from './store.ts';

/** A folder address that holds the files under their cache names, or a rewriting of each address. */
export type Mirror = string | ((url: string, entry: ModelEntry) => string | undefined);

export interface ResolveOptions extends DownloadOptions {
  readonly store: CacheStore;
  /** Never touch the network. */
  readonly offline?: boolean;
  /** Tried before the official addresses. */
  readonly mirror?: Mirror;
  /** Path of a file in the package's folder `models`; without it there are no built-in models. */
  readonly builtIn?: (file: string) => string;
  /** Opens a path, or gives undefined when no file is there; without it only model names resolve. */
  readonly openFile?: (path: string) => Promise<ByteSource | undefined>;
  /** Called once before a download starts, with the terms of what is about to be fetched. */
  readonly onNotice?: (licence: Licence, entry: ModelEntry) => void;
}

export interface ResolvedWeights {
  /** Undefined for a file of one's own, which its contents describe. */
  readonly entry: ModelEntry | undefined;
  readonly file: ByteSource;
  /** Path or address of the file on this machine. */
  readonly location: string;
  readonly from: 'file' | 'cache' | 'download';
}

/**
 * From a model name, a built-in one's too, or the path of a file to its bytes. A known name always means the model; a file that is called
 * the same is reached as `./name`.
 * @throws HubError when the name is unknown and no such file exists, or the weights cannot be had; it says what was
 *   tried and where to put the file by hand
 */
export async function resolveWeights(nameOrPath: string, options: ResolveOptions): Promise<ResolvedWeights> {
  const entry = findModel(nameOrPath);
  if (entry) return resolveEntry(entry, options);
  const own = findBuiltIn(nameOrPath);
  if (own && options.builtIn) return resolveBuiltIn(own, options.builtIn(own.file), options);
  const file = await options.openFile?.(nameOrPath);
  if (file) return resolveFile(nameOrPath, file);
  if (/[/\\]|\.(pth|pt|tar|bin|ckpt|safetensors)$/i.test(nameOrPath)) {
    throw new HubError(`hub: there is no file "${nameOrPath}", and no model is called so.`, {
      path: nameOrPath,
    });
  }
  return resolveEntry(resolveModelName(nameOrPath), options);
}

async function resolveBuiltIn(
  { name }: BuiltInModel,
  path: string,
  { openFile }: ResolveOptions,
): Promise<ResolvedWeights> {
  const file = await openFile?.(path);
  if (file === undefined)
    throw new HubError(
      `hub: the built-in model "${name}" should be at ${path}, but it is not; install again.`,
      {
        model: name,
        location: path,
      },
    );
  return resolveFile(path, file);
}

async function resolveFile(path: string, file: ByteSource): Promise<ResolvedWeights> {
  const fault = await contentFault(file);
  if (fault !== undefined)
    throw new HubError(`hub: "${path}" does not hold weights: ${fault}.`, { path, fault });
  const entry = findModelByFile(path.split(/[/\\]/).at(-1) ?? path);
  return { entry, file, location: path, from: 'file' };
}

async function resolveEntry(entry: ModelEntry, options: ResolveOptions): Promise<ResolvedWeights> {
  const { store, offline = false } = options;
  const location = store.locate(entry.file);
  const cached = await openCached(store, entry.file);
  if (cached.file) return { entry, file: cached.file, location, from: 'cache' };
  const attempts: Attempt[] = [];
  if (cached.fault !== undefined) attempts.push({ from: location, fault: cached.fault });
  if (!offline) {
    options.onNotice?.(licences[entry.licence], entry);
    const request = {
      file: entry.file,
      urls: addresses(entry, options.mirror),
      ...(entry.sha256Prefix === undefined ? {} : { sha256Prefix: entry.sha256Prefix }),
    };
    const result = await download(store, request, options);
    if (result.file) return { entry, file: result.file, location, from: 'download' };
    attempts.push(...result.attempts);
  }
  throw new HubError(unavailable(entry, location, attempts, offline), {
    model: entry.name,
    location,
    offline,
    attempts,
  });
}

/** Mirror first, then the official addresses, each once. */
export function addresses(entry: ModelEntry, mirror: Mirror | undefined): readonly string[] {
  if (mirror === undefined) return entry.urls;
  const mirrored =
    typeof mirror === 'string'
      ? [`${mirror.replace(/\/+$/, '')}/${entry.file}`]
      : entry.urls.flatMap((url) => mirror(url, entry) ?? []);
  return [...new Set([...mirrored, ...entry.urls])];
}

function unavailable(
  entry: ModelEntry,
  location: string,
  attempts: readonly Attempt[],
  offline: boolean,
): string {
  const lines = [
    `hub: the weights of "${entry.name}" are not here${offline ? ', and offline mode is on' : ''}.`,
  ];
  if (attempts.length > 0) lines.push('Tried:');
  for (const { from, fault } of attempts) lines.push(`  ${from}\n    ${fault}`);
  lines.push(
    'What helps:',
    `  fetch ${entry.urls.join(' or ')} elsewhere and put it at ${location}`,
    '  or pass a file of your own with --weights FILE',
    '  or name a server that has it with MOBILEONE_MIRROR=ADDRESS',
  );
  return lines.join('\n');
}
