import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.ts';
import { writeFileWhole } from '../platform/node/write-file.ts';
import type { ReportStore } from '../report/write-report.ts';

/** A folder that reports are written to; it and those inside are made when they are needed. */
export function reportFolder(folder: string): ReportStore {
  return {
    write: async (name, content) => {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true }).catch((cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new UsageError(`"${dirname(path)}" cannot be made: ${reason}.`, { path }, { cause });
      });
      await writeFileWhole(path, new TextEncoder().encode(content), async () => {});
    },
  };
}
