import type { Instant } from "../domain/instant.ts";
import { writeTimestamptz } from "./timestamptz.ts";

/** The numbers of the element types in PostgreSQL's catalogue, the same in every installation. */
const TEXT = 25;
const BYTEA = 17;
const TIMESTAMPTZ = 1184;

type Element = string | Uint8Array | undefined;

/** `text[]`: strings, or their bytes in UTF-8; undefined is NULL. */
export function textArray(elements: readonly Element[]): Buffer {
  return encode(elements, TEXT);
}

export function byteaArray(elements: readonly Uint8Array[]): Buffer {
  return encode(elements, BYTEA);
}

/** `timestamptz[]`; undefined is NULL. As texts those of an event took PostgreSQL 4 us more. */
export function timestamptzArray(
  instants: readonly (Instant | undefined)[],
): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + instants.length * 12);
  let at = writeHeader(buffer, instants, TIMESTAMPTZ);
  for (const instant of instants) {
    at = buffer.writeInt32BE(instant === undefined ? -1 : 8, at);
    if (instant !== undefined) at = writeTimestamptz(instant, buffer, at);
  }
  return buffer.subarray(0, at);
}

const HEADER_BYTES = 20;

function writeHeader(
  buffer: Buffer,
  elements: readonly unknown[],
  elementType: number,
): number {
  buffer.writeInt32BE(1, 0); // dimensions
  buffer.writeInt32BE(elements.includes(undefined) ? 1 : 0, 4);
  buffer.writeInt32BE(elementType, 8);
  buffer.writeInt32BE(elements.length, 12);
  return buffer.writeInt32BE(1, 16); // the index of the first
}

/**
 * A parameter in PostgreSQL's binary form of a one-dimensional array (`array_recv` in its arrayfuncs.c), which pg sends
 * as it is. As text, each element is escaped here and read character by character there: that cost more than all else
 * of recording a kilobyte of JSON.
 */
function encode(elements: readonly Element[], elementType: number): Buffer {
  const most = elements.reduce(
    (sum, element) => sum + 4 + mostBytesOf(element),
    HEADER_BYTES,
  );
  const buffer = Buffer.allocUnsafe(most);
  let at = writeHeader(buffer, elements, elementType);
  for (const element of elements) {
    const size = write(element, buffer, at + 4);
    buffer.writeInt32BE(element === undefined ? -1 : size, at);
    at += 4 + size;
  }
  return buffer.subarray(0, at);
}

/** UTF-8 takes at most three bytes for a UTF-16 unit. To count them exactly would take as long as to write them. */
function mostBytesOf(element: Element): number {
  if (element === undefined) return 0;
  return typeof element === "string" ? element.length * 3 : element.length;
}

/** @returns how many bytes it took */
function write(element: Element, buffer: Buffer, at: number): number {
  if (element === undefined) return 0;
  if (typeof element === "string") return writeText(element, buffer, at);
  buffer.set(element, at);
  return element.length;
}

/** No lock's name with a UUID is longer, nor most texts of a row: a loop is quicker than the call into Node.js. */
const SHORT = 48;

function writeText(text: string, buffer: Buffer, at: number): number {
  if (text.length > SHORT) return buffer.write(text, at);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) return buffer.write(text, at);
    buffer[at + index] = unit;
  }
  return text.length;
}

/** The text form, for an array that is itself an element: arrays of arrays cannot be unnested by row. */
export function arrayLiteral(elements: readonly string[]): string {
  const quoted = elements.map(
    (element) => `"${element.replace(/["\\]/g, "\\$&")}"`,
  );
  return `{${quoted.join(",")}}`;
}
