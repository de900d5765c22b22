/** AMX bf16 tiles. */
import { EngineError } from '../../errors.ts';
import type { Int, Tile, TileInstructions, TileShape } from '../vector-assembler.ts';
import type { ConstantPool } from './constant-pool.ts';
import type { Encoder } from './encoder.ts';
import { type Memory, pool } from './operand.ts';
import { tilerelease, VECTOR, vector } from './vector-encoder.ts';

/** The 64 bytes that LDTILECFG reads: palette 1, bytes per row at 16, rows at 48. */
function tileConfiguration(shapes: readonly TileShape[]): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  for (const [tile, { rows, rowBytes }] of shapes.entries()) {
    const fits = tile < 8 && rows >= 1 && rows <= 16 && rowBytes >= 4 && rowBytes <= 64 && rowBytes % 4 === 0;
    if (!fits || !Number.isInteger(rows)) {
      throw new EngineError(
        `assembler: tile ${tile} of ${rows} rows × ${rowBytes} bytes; expected tiles 0 … 7 of 1 … 16 rows × 4 … 64 bytes in steps of 4`,
        { tile, rows, rowBytes },
      );
    }
    view.setUint16(16 + 2 * tile, rowBytes, true);
    bytes[48 + tile] = rows;
  }
  return bytes;
}

export function createTiles(encoder: Encoder, constants: ConstantPool): TileInstructions {
  const rows = (base: Int, rowStride: Int, offset: number): Memory => ({
    base: base.register,
    offset,
    index: rowStride.register,
    scale: 1,
    broadcast: false,
  });
  return {
    configure(shapes) {
      const view = new DataView(tileConfiguration(shapes).buffer);
      const words = Array.from({ length: 16 }, (_, i) => view.getUint32(4 * i, true));
      vector(encoder, VECTOR.ldtilecfg, 16, 0, 0, pool(constants.words(words)));
    },
    release: () => tilerelease(encoder),
    zero: (tile: Tile) => vector(encoder, VECTOR.tilezero, 16, tile, 0, 0),
    load: (tile, base, rowStride, offset = 0) =>
      vector(encoder, VECTOR.tileloadd, 16, tile, 0, rows(base, rowStride, offset)),
    store: (tile, base, rowStride, offset = 0) =>
      vector(encoder, VECTOR.tilestored, 16, tile, 0, rows(base, rowStride, offset)),
    dotBf16: (sum, a, b) => vector(encoder, VECTOR.tdpbf16ps, 16, sum, b, a),
  };
}
