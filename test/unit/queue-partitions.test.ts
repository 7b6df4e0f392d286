import { describe, expect, test } from "@jest/globals";
import { readPartitions, writePartitions } from "../../src/queue/partitions.ts";

const keys = Array.from({ length: 2_000 }, (_, n) => `card-${String(n)}`);

describe("the partitions of a job", () => {
  test("are the same for the same key, in any job", () => {
    const [a, b, again] =
      readPartitions(writePartitions(["card-a", "card-b", "card-a"]), 3) ?? [];
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(readPartitions(writePartitions(["card-a"]), 1)).toEqual([a]);
  });

  test("spread keys that are counted up over all of them", () => {
    const partitions = readPartitions(writePartitions(keys), keys.length) ?? [];
    expect(partitions).toHaveLength(keys.length);
    expect(new Set(partitions).size).toBe(256);
    expect(Math.min(...partitions)).toBe(0);
    expect(Math.max(...partitions)).toBe(255);
  });

  test("take two characters for each key, so that a job stays small", () => {
    expect(writePartitions(keys)).toHaveLength(2 * keys.length);
  });

  test.each([
    ["missing, as in a job of an earlier release", undefined, 2],
    ["those of other events", "0a", 2],
    ["no digits", "0axy", 2],
  ])("are unknown where they are %s", (_, written, count) => {
    expect(readPartitions(written, count)).toBeUndefined();
  });
});
