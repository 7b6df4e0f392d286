import { describe, expect, test } from "@jest/globals";
import { pruneBodies, retentionLimit } from "../../src/operate/prune.ts";
import type { PruneOptions } from "../../src/operate/prune.ts";

const before = new Date("2026-04-12T00:00:00Z");

/** A store with so many bodies to drop, that notes what it is asked for. */
function aStore(eventBodies: number, quarantinedBodies: number) {
  const asked: string[] = [];
  let pauses = 0;
  const from = (name: string, count: number) => {
    let left = count;
    return (date: Date, limit: number) => {
      asked.push(`${name} ${limit}`);
      expect(date).toBe(before);
      const dropped = Math.min(left, limit);
      left -= dropped;
      return Promise.resolve(dropped);
    };
  };
  const options: PruneOptions = {
    dropOldBodies: from("events", eventBodies),
    dropResolvedBodies: from("quarantined", quarantinedBodies),
    signal: new AbortController().signal,
    pause: () => {
      pauses++;
      return Promise.resolve();
    },
  };
  return { asked, options, pauses: () => pauses };
}

describe("pruning", () => {
  test("asks once for each kind when there is nothing to drop", async () => {
    const store = aStore(0, 0);

    const counts = await pruneBodies(before, store.options);

    expect(counts).toEqual({ events: 0, quarantined: 0 });
    expect(store.asked).toEqual(["events 1000", "quarantined 1000"]);
    expect(store.pauses()).toBe(0);
  });

  test("goes batch by batch of a bounded size until nothing is left, with a pause between two", async () => {
    const store = aStore(2_500, 1_001);

    const counts = await pruneBodies(before, store.options);

    expect(counts).toEqual({ events: 2_500, quarantined: 1_001 });
    expect(store.asked).toEqual([
      ...["events 1000", "events 1000", "events 1000"],
      ...["quarantined 1000", "quarantined 1000"],
    ]);
    expect(store.pauses()).toBe(3);
  });

  test("asks once more after a full batch that was the last", async () => {
    const store = aStore(1_000, 0);

    expect(await pruneBodies(before, store.options)).toMatchObject({
      events: 1_000,
    });
    expect(store.asked.slice(0, 2)).toEqual(["events 1000", "events 1000"]);
  });

  test("ends after the batch under way once it is told to stop", async () => {
    const store = aStore(5_000, 5_000);
    const stopping = new AbortController();

    const counts = await pruneBodies(before, {
      ...store.options,
      signal: stopping.signal,
      pause: () => {
        stopping.abort();
        return Promise.resolve();
      },
    });

    expect(counts).toEqual({ events: 1_000, quarantined: 0 });
  });

  test("does nothing when it is told to stop before", async () => {
    const store = aStore(5, 5);

    const counts = await pruneBodies(before, {
      ...store.options,
      signal: AbortSignal.abort(),
    });

    expect(counts).toEqual({ events: 0, quarantined: 0 });
    expect(store.asked).toEqual([]);
  });

  test("fails with what the store throws", async () => {
    const store = aStore(0, 0);

    await expect(
      pruneBodies(before, {
        ...store.options,
        dropOldBodies: () => Promise.reject(new Error("away")),
      }),
    ).rejects.toThrow("away");
  });
});

describe("the limit of retention", () => {
  test("is so many times 24 hours before now", () => {
    const nowMs = Date.parse("2026-04-12T10:00:00Z");

    expect(retentionLimit(30, nowMs).toISOString()).toBe(
      "2026-03-13T10:00:00.000Z",
    );
  });
});
