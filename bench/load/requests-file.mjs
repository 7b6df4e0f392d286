// Reads what `writeRequests` wrote.
import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 1 << 20;
const LENGTH_DIGITS = 8;

/**
 * @param {string} path
 * @returns {Generator<Buffer, void>} the requests, as they go over the wire
 */
export function* readRequests(path) {
  const file = openSync(path, "r");
  let rest = Buffer.alloc(0);
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const count = readSync(file, chunk);
      if (count === 0) return;
      rest = Buffer.concat([rest, chunk.subarray(0, count)]);
      while (rest.length >= LENGTH_DIGITS) {
        const end = LENGTH_DIGITS + Number(rest.latin1Slice(0, LENGTH_DIGITS));
        if (rest.length < end) break;
        yield rest.subarray(LENGTH_DIGITS, end);
        rest = rest.subarray(end);
      }
    }
  } finally {
    closeSync(file);
  }
}
