import { describe, expect, test } from "@jest/globals";
import { createBatcher, OverloadedError } from "../../src/process/batcher.ts";
import { settle } from "../support/settle.ts";

class ItemFault extends Error {}

/** A batcher whose flushes wait until the test ends them. */
function aBatcher({
  maxBatch = 3,
  maxWaiting = 10,
}: {
  maxBatch?: number;
  maxWaiting?: number;
} = {}) {
  const flushes: { items: number[]; end: (error?: Error) => void }[] = [];
  const batcher = createBatcher<number, string>({
    maxBatch,
    maxWaiting,
    isItemFault: (error) => error instanceof ItemFault,
    flush: (items) =>
      new Promise((resolve, reject) => {
        flushes.push({
          items: [...items],
          end: (error) => {
            if (error) reject(error);
            else resolve(items.map((item) => `done ${String(item)}`));
          },
        });
      }),
  });
  return { ...batcher, flushes, batches: () => flushes.map((f) => f.items) };
}

describe("an idle batcher", () => {
  test("flushes a lone item at once, without waiting for company", async () => {
    const { add, flushes, batches } = aBatcher();

    const result = add(1);
    await Promise.resolve();

    expect(batches()).toEqual([[1]]);
    flushes[0]?.end();
    await expect(result).resolves.toBe("done 1");
  });

  test("takes what comes in one turn as one batch", async () => {
    const { add, flushes, batches } = aBatcher();

    const results = [add(1), add(2), add(3)];
    await settle();

    expect(batches()).toEqual([[1, 2, 3]]);
    flushes[0]?.end();
    await expect(Promise.all(results)).resolves.toEqual([
      "done 1",
      "done 2",
      "done 3",
    ]);
  });

  test("is drained already", async () => {
    await expect(aBatcher().drain()).resolves.toBeUndefined();
  });

  test("starts again after it has rested", async () => {
    const { add, flushes, batches } = aBatcher();
    const first = add(1);
    await settle();
    flushes[0]?.end();
    await first;

    const second = add(2);
    await settle();

    expect(batches()).toEqual([[1], [2]]);
    flushes[1]?.end();
    await expect(second).resolves.toBe("done 2");
  });
});

describe("items that come while a flush is under way", () => {
  test("share the next one, in their order, up to its size", async () => {
    const { add, flushes, batches } = aBatcher({ maxBatch: 3 });
    const results = [add(1)];
    await settle();

    results.push(...[2, 3, 4, 5].map(add));
    await settle();

    expect(batches()).toEqual([[1]]);
    flushes[0]?.end();
    await settle();
    expect(batches()).toEqual([[1], [2, 3, 4]]);
    flushes[1]?.end();
    await settle();
    expect(batches()).toEqual([[1], [2, 3, 4], [5]]);
    flushes[2]?.end();
    await expect(Promise.all(results)).resolves.toEqual([
      "done 1",
      "done 2",
      "done 3",
      "done 4",
      "done 5",
    ]);
  });

  test("are refused beyond the bound, and nothing of them is kept", async () => {
    const { add, flushes, batches } = aBatcher({ maxBatch: 3, maxWaiting: 2 });
    const first = add(1);
    await settle();
    const waiting = [add(2), add(3)];

    await expect(add(4)).rejects.toThrow(OverloadedError);

    flushes[0]?.end();
    await settle();
    flushes[1]?.end();
    await Promise.all([first, ...waiting]);
    expect(batches()).toEqual([[1], [2, 3]]);
  });

  test("have room again once a flush has taken some", async () => {
    const { add, flushes } = aBatcher({ maxBatch: 3, maxWaiting: 1 });
    const first = add(1);
    await settle();
    const second = add(2);
    flushes[0]?.end();
    await settle();

    const third = add(3);

    flushes[1]?.end();
    await settle();
    flushes[2]?.end();
    await expect(Promise.all([first, second, third])).resolves.toEqual([
      "done 1",
      "done 2",
      "done 3",
    ]);
  });
});

describe("a batch that fails", () => {
  test("for one item's fault is halved down to that one: only that one fails", async () => {
    const tried: number[][] = [];
    const { add } = createBatcher<number, string>({
      maxBatch: 10,
      maxWaiting: 10,
      isItemFault: (error) => error instanceof ItemFault,
      flush: (items) => {
        tried.push([...items]);
        if (items.includes(2)) return Promise.reject(new ItemFault("poison"));
        return Promise.resolve(items.map((item) => `done ${String(item)}`));
      },
    });

    const results = await Promise.allSettled([add(1), add(2), add(3)]);

    expect(results).toEqual([
      { status: "fulfilled", value: "done 1" },
      { status: "rejected", reason: new ItemFault("poison") },
      { status: "fulfilled", value: "done 3" },
    ]);
    expect(tried).toEqual([[1, 2, 3], [1, 2], [1], [2], [3]]);
  });

  test("for a fault of no item fails all at once, and is not tried again", async () => {
    const { add, flushes, batches } = aBatcher();
    const results = [add(1), add(2)].map((result) =>
      result.catch((error: unknown) => error),
    );
    await settle();

    const gone = new Error("connection lost");
    flushes[0]?.end(gone);

    await expect(Promise.all(results)).resolves.toEqual([gone, gone]);
    expect(batches()).toEqual([[1, 2]]);
  });

  test("of one item alone is not tried again", async () => {
    const { add, flushes, batches } = aBatcher();
    const result = add(1);
    await settle();

    flushes[0]?.end(new ItemFault("poison"));

    await expect(result).rejects.toThrow("poison");
    expect(batches()).toEqual([[1]]);
  });

  test("does not stop the next one", async () => {
    const { add, flushes } = aBatcher();
    const first = add(1);
    await settle();
    const second = add(2);
    flushes[0]?.end(new Error("connection lost"));
    await expect(first).rejects.toThrow("connection lost");
    await settle();

    flushes[1]?.end();

    await expect(second).resolves.toBe("done 2");
  });

  test("by throwing at once fails like any other", async () => {
    const { add } = createBatcher<number, string>({
      maxBatch: 10,
      maxWaiting: 10,
      isItemFault: () => false,
      flush: () => {
        throw new Error("not even started");
      },
    });

    await expect(add(1)).rejects.toThrow("not even started");
  });
});

describe("draining", () => {
  test("waits for what is under way, for what waits and for what still comes", async () => {
    const { add, drain, flushes } = aBatcher({ maxBatch: 1 });
    const done: number[] = [];
    const track = (item: number) => add(item).then(() => done.push(item));
    const results = [track(1), track(2)];
    await settle();

    const drained = drain().then(() => [...done]);
    flushes[0]?.end();
    await settle();
    results.push(track(3));
    flushes[1]?.end();
    await settle();
    flushes[2]?.end();

    await expect(drained).resolves.toEqual([1, 2, 3]);
    await Promise.all(results);
  });

  test("ends also when the last flush fails", async () => {
    const { add, drain, flushes } = aBatcher();
    const result = add(1);
    await settle();

    const drained = drain();
    flushes[0]?.end(new Error("connection lost"));

    await expect(result).rejects.toThrow("connection lost");
    await expect(drained).resolves.toBeUndefined();
  });
});
