import type { Precision } from '../../src/engine/engine.ts';

/** What engines may be asked for; one that has no such choice takes no notice. */
export interface CpuOptions {
  readonly precision?: Precision;
  readonly threads?: number | 'auto';
  readonly target?: string;
}

export type Facts = Readonly<Record<string, string | number>>;

/** Numbers and words of `Session.info`, where an engine has one. */
export function sessionFacts(session: object): Facts {
  const info: unknown = 'info' in session ? session.info : undefined;
  if (typeof info !== 'object' || info === null) return {};
  const plain = Object.entries(info).filter(
    (entry): entry is [string, string | number] =>
      typeof entry[1] === 'number' || typeof entry[1] === 'string',
  );
  return Object.fromEntries(plain);
}
