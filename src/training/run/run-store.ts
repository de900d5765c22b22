/** Where a run keeps its files: a folder on disk, memory, a page's storage. Names are flat or `folder/name`. */
export interface RunStore {
  /** As messages call it. */
  readonly name: string;
  /** The file's bytes, or undefined when there is none. */
  readonly read: (name: string) => Promise<Uint8Array | undefined>;
  /**
   * Puts a file in place whole or not at all, also when power or disk fail: until the promise resolves, a reader finds
   * the old bytes or none.
   * @throws TrainingError when it cannot be written; the old file is still there
   */
  readonly write: (name: string, bytes: Uint8Array | string) => Promise<void>;
}

/** A store in memory. */
export function memoryRunStore(
  name = 'memory',
): RunStore & { readonly files: ReadonlyMap<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    name,
    files,
    read: async (file) => files.get(file),
    write: async (file, bytes) => {
      files.set(file, typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice());
    },
  };
}
