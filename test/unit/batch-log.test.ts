import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { createBatchLog } from "../../src/process/batch-log.ts";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function aLog() {
  const lines: Readonly<Record<string, number>>[] = [];
  const log = createBatchLog((line) => {
    lines.push(line);
  });
  return { lines, ...log };
}

test("tells at once of a batch that follows none", () => {
  const { lines, add } = aLog();
  add({ recorded: 3, duplicates: 1 }, 2.4);
  expect(lines).toEqual([
    { recorded: 3, duplicates: 1, batches: 1, durationMs: 2 },
  ]);
  jest.advanceTimersByTime(100);
  add({ recorded: 1, duplicates: 0 }, 1);
  expect(lines).toHaveLength(2);
});

test("tells of those that follow within a tenth of a second in one line: their sums, and the slowest", () => {
  const { lines, add } = aLog();
  add({ recorded: 1, duplicates: 0 }, 1);
  add({ recorded: 2, duplicates: 0 }, 1.2);
  add({ recorded: 0, duplicates: 7 }, 30.6);
  add({ recorded: 3, duplicates: 1 }, 4);
  jest.advanceTimersByTime(99);
  expect(lines).toHaveLength(1);
  jest.advanceTimersByTime(1);
  expect(lines.slice(1)).toEqual([
    { recorded: 5, duplicates: 8, batches: 3, durationMs: 31 },
  ]);
});

test("writes a line each tenth of a second, and each batch is in one of them", () => {
  const { lines, add } = aLog();
  for (let ms = 0; ms < 1_000; ms++) {
    add({ recorded: 2 }, 1);
    jest.advanceTimersByTime(1);
  }
  jest.advanceTimersByTime(100);
  expect(lines).toHaveLength(11);
  const sum = (name: string) =>
    lines.reduce((total, line) => total + (line[name] ?? 0), 0);
  expect([sum("batches"), sum("recorded")]).toEqual([1_000, 2_000]);
});

test("writes nothing while there is nothing to tell, and what is left when it is told to", () => {
  const { lines, add, flush } = aLog();
  flush();
  expect(lines).toEqual([]);
  add({ count: 1 }, 1);
  add({ count: 2 }, 1);
  flush();
  flush();
  expect(lines.map(({ count }) => count)).toEqual([1, 2]);
  jest.advanceTimersByTime(1_000);
  expect(lines).toHaveLength(2);
});
