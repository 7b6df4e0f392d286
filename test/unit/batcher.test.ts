import { describe, expect, test } from "@jest/globals";
import { createBatcher, OverloadedError } from "../../src/process/batcher.ts";
import { settle } from "../support/settle.ts";

class ItemFault extends Error {}

/** A batcher whose flushes wait until the test ends them. */
function aBatcher({
  maxBatch = 3,
  maxWaiting = 10,
  halveFrom = Infinity,
  sizeOf = (): number => 1,
}: {
  maxBatch?: number;
  maxWaiting?: number;
  halveFrom?: number;
  sizeOf?: (item: number) => number;
} = {}) {
  const flushes: { items: number[]; end: (error?: Error) => void }[] = [];
  const batcher = createBatcher<number, string>({
    maxBatch,
    halveFrom,
    sizeOf,
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

describe("a batcher that halves", () => {
  const halving = { maxBatch: 20, maxWaiting: 100, halveFrom: 8 };
  /** Each asks again when it is answered, as a sender does that waits for its answers. */
  const ask = async (add: (item: number) => Promise<unknown>) => {
    for (let item = 0; item < 3; item++) {
      await add(item);
      await settle();
    }
  };
  const sizesOf = async (
    { flushes, batches }: ReturnType<typeof aBatcher>,
    count: number,
  ) => {
    for (let index = 0; index < count; index++) {
      flushes[index]?.end();
      await settle();
      await settle();
    }
    return batches().map((batch) => batch.length);
  };

  test("keeps two batches of one size going, also when they began as a small and a large one", async () => {
    const batcher = aBatcher(halving);
    const senders = Array.from({ length: 4 }, () => ask(batcher.add));
    await settle();
    senders.push(...Array.from({ length: 28 }, () => ask(batcher.add)));

    const sizes = await sizesOf(batcher, 7);

    expect(sizes.slice(0, 6)).toEqual([4, 16, 16, 16, 16, 16]);
    await Promise.all(senders);
  });

  test("cuts a crowd that comes to an idle one in two", async () => {
    const batcher = aBatcher(halving);
    const crowd = Array.from({ length: 30 }, (_, item) => batcher.add(item));
    await settle();

    expect(await sizesOf(batcher, 2)).toEqual([15, 15]);
    await Promise.all(crowd);
  });

  test("does not cut what is small, and stays within its largest size", async () => {
    const batcher = aBatcher(halving);
    const few = Array.from({ length: 8 }, (_, item) => batcher.add(item));
    await settle();
    const many = Array.from({ length: 60 }, (_, item) => batcher.add(item));

    expect(await sizesOf(batcher, 4)).toEqual([8, 20, 20, 20]);
    await Promise.all([...few, ...many]);
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

  test("count by their own sizes where they have some; what is too large goes alone", async () => {
    const { add, flushes, batches } = aBatcher({
      maxBatch: 10,
      sizeOf: (item) => item,
    });
    const results = [5, 5, 1, 30, 2, 9].map(add);
    for (let turn = 0; turn < 5; turn++) {
      await settle();
      flushes[turn]?.end();
    }

    expect(batches()).toEqual([[5, 5], [1], [30], [2], [9]]);
    await Promise.all(results);
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
  test("for one item's fault is tried item by item: only that one fails", async () => {
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
    expect(tried).toEqual([[1, 2, 3], [1], [2], [3]]);
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
