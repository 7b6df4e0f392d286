/** The numbers of the element types in PostgreSQL's catalogue, the same in every installation. */
const TEXT = 25;
const BYTEA = 17;

type Element = string | Uint8Array | undefined;

/** `text[]`: strings, or their bytes in UTF-8; undefined is NULL. */
export function textArray(elements: readonly Element[]): Buffer {
  return encode(elements, TEXT);
}

export function byteaArray(elements: readonly Uint8Array[]): Buffer {
  return encode(elements, BYTEA);
}

const HEADER_BYTES = 20;

/**
 * A parameter in PostgreSQL's binary form of a one-dimensional array (`array_recv` in its arrayfuncs.c), which pg sends
 * as it is. As text, each element is escaped here and read character by character there: that cost more than all else
 * of recording a kilobyte of JSON.
 */
function encode(elements: readonly Element[], elementType: number): Buffer {
  const sizes = elements.map(sizeOf);
  const total = sizes.reduce((sum, size) => sum + 4 + size, HEADER_BYTES);
  const buffer = Buffer.allocUnsafe(total);
  buffer.writeInt32BE(1, 0); // dimensions
  buffer.writeInt32BE(elements.includes(undefined) ? 1 : 0, 4);
  buffer.writeInt32BE(elementType, 8);
  buffer.writeInt32BE(elements.length, 12);
  buffer.writeInt32BE(1, 16); // the index of the first
  let at = HEADER_BYTES;
  elements.forEach((element, index) => {
    const size = sizes[index] ?? 0;
    at = buffer.writeInt32BE(element === undefined ? -1 : size, at);
    if (typeof element === "string") buffer.write(element, at);
    else if (element !== undefined) buffer.set(element, at);
    at += size;
  });
  return buffer;
}

function sizeOf(element: Element): number {
  if (element === undefined) return 0;
  return typeof element === "string"
    ? Buffer.byteLength(element)
    : element.length;
}

/** The text form, for an array that is itself an element: arrays of arrays cannot be unnested by row. */
export function arrayLiteral(elements: readonly string[]): string {
  const quoted = elements.map(
    (element) => `"${element.replace(/["\\]/g, "\\$&")}"`,
  );
  return `{${quoted.join(",")}}`;
}
