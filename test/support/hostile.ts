import assert from 'node:assert/strict';
import { MobileOneError } from '../../src/errors.ts';
import type { ByteSource } from '../../src/format/byte-source.ts';
import { memorySource } from '../../src/format/byte-source.ts';
import type { Checkpoint } from '../../src/format/checkpoint.ts';
import { elementCount } from '../../src/tensor/tensor.ts';

/** A source that fails the test when it is asked for more than the file has. */
function boundedSource(bytes: Uint8Array): ByteSource {
  const source = memorySource(bytes, 'hostile');
  return {
    ...source,
    read: (offset, length) => {
      assert.ok(length <= Math.max(bytes.length, 512), `a read of ${length} bytes from ${bytes.length}`);
      return source.read(offset, length);
    },
  };
}

/** Most that tensors of a tiny file may take: the reader's limit for expanded views. */
const maxTensorBytes = 64 << 20;
const readableElements = 1 << 16;

/**
 * Reads a file and its tensors; only a MobileOneError may come out, and no tensor may be larger than the reader
 * states. Gives whether all of it could be read.
 */
export async function survives(
  bytes: Uint8Array,
  read: (source: ByteSource) => Promise<Checkpoint>,
): Promise<boolean> {
  try {
    const checkpoint = await read(boundedSource(bytes));
    for (const tensor of checkpoint.tensors.values()) {
      // Expanding to the limit is right but slow; thousands of damaged files need not do it.
      if (elementCount(tensor.shape) > readableElements) continue;
      const raw = await tensor.read();
      assert.ok(raw.bytes.length <= maxTensorBytes);
    }
    return true;
  } catch (error) {
    if (error instanceof MobileOneError) return false;
    throw error;
  }
}
