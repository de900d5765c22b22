import type { VariantName } from '../../src/model/config.ts';

/** What a page is told to load; addresses are absolute. */
export interface PageJob {
  readonly adapter: string;
  readonly variant: VariantName;
  readonly threads: number;
  readonly target: string | undefined;
  /** Folder of the models' files and of the rivals' packages, with a slash at the end. */
  readonly models: string;
  readonly rivals: string;
}
