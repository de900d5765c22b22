import { readFile } from 'node:fs/promises';
import { UsageError } from '../errors.ts';

/** Class names from a file: a JSON list of texts, or one name a line. @throws UsageError */
export async function readLabelsFile(path: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`--labels: "${path}" cannot be read: ${reason}.`, { path }, { cause });
  });
  if (!text.trimStart().startsWith('[')) return text.trimEnd().split(/\r?\n/);
  const value = parseJson(text);
  if (Array.isArray(value) && value.every((label) => typeof label === 'string')) return value;
  throw new UsageError(`--labels: "${path}" must hold a JSON list of class names, or one name a line.`, {
    path,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
