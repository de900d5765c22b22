import { FormatError } from '../../errors.ts';

/**
 * Inflates raw deflate data that must give exactly `size` bytes; stops as soon as it gives more.
 * @throws FormatError for damaged data, another size, or a runtime without `deflate-raw` (Node before 20.12)
 */
export async function inflateRaw(packed: Uint8Array, size: number, where: string): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let filled = 0;
  try {
    const stream = new Blob([new Uint8Array(packed)])
      .stream()
      .pipeThrough(new DecompressionStream('deflate-raw'));
    const reader = stream.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      if (filled + step.value.byteLength > size) {
        await reader.cancel();
        throw new FormatError(`${where}: inflates to more than the ${size} bytes it should have.`);
      }
      out.set(step.value, filled);
      filled += step.value.byteLength;
    }
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`${where}: cannot be inflated: ${reason}.`, {}, { cause });
  }
  if (filled !== size) {
    throw new FormatError(`${where}: inflates to ${filled} bytes, but should have ${size}.`, {
      filled,
      size,
    });
  }
  return out;
}
