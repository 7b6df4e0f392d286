/** What the events of a job are about, a number for each; undefined where the job does not say it. */
export type Partitions = readonly number[] | undefined;

const DIGITS = 2;
const RADIX = 16;
const PARTITIONS = RADIX ** DIGITS;

/**
 * As it stands in a job, so that a worker need not ask the database: two digits for each key. Not the keys themselves:
 * they would double what the queue holds.
 *
 * @param keys what each event is about, such as its card; opaque text
 */
export function writePartitions(keys: readonly string[]): string {
  return keys.map((key) => DIGITS_OF[hash(key) % PARTITIONS] ?? "").join("");
}

const DIGITS_OF = Array.from({ length: PARTITIONS }, (_, partition) =>
  partition.toString(RADIX).padStart(DIGITS, "0"),
);
const PARTITION_OF = new Map(
  DIGITS_OF.map((digits, partition) => [digits, partition]),
);

/** @returns a number below 256 for each event, the same for the same key; undefined where nothing sensible stands */
export function readPartitions(
  written: string | undefined,
  count: number,
): Partitions {
  if (written?.length !== count * DIGITS) return undefined;
  const partitions = Array.from({ length: count }, (_, index) =>
    PARTITION_OF.get(written.slice(index * DIGITS, (index + 1) * DIGITS)),
  );
  return partitions.every((partition) => partition !== undefined)
    ? partitions
    : undefined;
}

/** FNV-1a, 32 bits: ids that are counted up are spread as evenly as random ones. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
}
