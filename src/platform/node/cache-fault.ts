import { HubError } from '../../errors.ts';

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full; make room, or set MOBILEONE_CACHE to a folder on another disk.',
  EDQUOT: 'The disk quota is used up; make room, or set MOBILEONE_CACHE to another folder.',
  EACCES: 'Set MOBILEONE_CACHE to a folder that you may write.',
  EPERM: 'Set MOBILEONE_CACHE to a folder that you may write.',
  EROFS: 'It lies on a read-only disk; set MOBILEONE_CACHE to a folder that you may write.',
  ENOTDIR: 'A file is where a folder should be; set MOBILEONE_CACHE to another folder.',
};

/** The `code` of a system error, or an empty string. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** A fault of the disk as a `HubError` that says what to do. */
export function cacheFault(what: string, path: string, error: unknown): HubError {
  if (error instanceof HubError) return error;
  const code = codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  const remedy = remedies[code] ?? 'Set MOBILEONE_CACHE to another folder if it cannot be mended.';
  return new HubError(`hub: cannot ${what} ${path}: ${said}. ${remedy}`, { path, code }, { cause: error });
}
