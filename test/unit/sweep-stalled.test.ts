import { describe, expect, test } from "@jest/globals";
import { requeueStalled } from "../../src/sweep-stalled.ts";
import type { RequeueOptions } from "../../src/sweep-stalled.ts";
import type { StalledEvent } from "../../src/store/inbox.ts";

function lost(eventId: string): StalledEvent {
  return {
    eventId,
    eventType: "card.update.succeeded",
    cardId: undefined,
    wasHintedAgain: false,
  };
}

/** It was hinted again, and still nobody finished it. */
function suspect(eventId: string): StalledEvent {
  return { ...lost(eventId), wasHintedAgain: true };
}

/** Answers with these takings, one after the other, and writes down what was done. */
function aRun(takings: StalledEvent[][], more: Partial<RequeueOptions> = {}) {
  const done: unknown[][] = [];
  const ids = (events: readonly StalledEvent[]) =>
    events.map(({ eventId }) => eventId);
  const options: RequeueOptions = {
    signal: new AbortController().signal,
    oldestWaitingAt: () => Promise.resolve(undefined),
    takeStalled: (placedBefore, limit) => {
      done.push(["take", placedBefore, limit]);
      return Promise.resolve(takings.shift() ?? []);
    },
    enqueue: (events, oneByOne) => {
      done.push(["enqueue", ids(events), oneByOne]);
      return Promise.resolve();
    },
    reconcile: (eventIds, oneByOne) => {
      done.push(["reconcile", [...eventIds], oneByOne]);
      return Promise.resolve();
    },
    ...more,
  };
  return { options, done };
}

const unreachable = () => Promise.reject(new Error("ECONNREFUSED"));

describe("requeueing", () => {
  test("does nothing on an empty inbox", async () => {
    const { options, done } = aRun([]);

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 0, reconciled: 0 });
    expect(done).toEqual([["take", expect.any(Date), 200]]);
  });

  test("hints all that lost their hint in one batch", async () => {
    const { options, done } = aRun([[lost("a"), lost("b")]]);

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 2, reconciled: 0 });
    expect(done.slice(1)).toEqual([["enqueue", ["a", "b"], false]]);
  });

  test("hints those that were hinted before one by one: one of them may end the worker", async () => {
    const { options, done } = aRun([[suspect("a"), lost("b"), suspect("c")]]);

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 3, reconciled: 0 });
    expect(done.slice(1)).toEqual([
      ["enqueue", ["b"], false],
      ["enqueue", ["a", "c"], true],
    ]);
  });

  test("hints a whole backlog together, also when it was hinted before", async () => {
    const backlog = Array.from({ length: 200 }, (_, n) => suspect(String(n)));
    const { options, done } = aRun([backlog]);

    await requeueStalled(options);

    expect(done[1]).toEqual([
      "enqueue",
      backlog.map(({ eventId }) => eventId),
      false,
    ]);
  });

  test("goes on as long as there is a full batch", async () => {
    const full = Array.from({ length: 200 }, (_, n) =>
      lost(`full-${String(n)}`),
    );
    const { options, done } = aRun([full, [lost("last")]]);

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 201, reconciled: 0 });
    expect(done.map(([what]) => what)).toEqual([
      "take",
      "enqueue",
      "take",
      "enqueue",
    ]);
  });

  test("ends after the batch under way when it is told to stop", async () => {
    const stop = new AbortController();
    const full = Array.from({ length: 200 }, (_, n) => lost(String(n)));
    const { options } = aRun([full, full], {
      signal: stop.signal,
      enqueue: () => {
        stop.abort();
        return Promise.resolve();
      },
    });

    await expect(requeueStalled(options)).resolves.toEqual({
      requeued: 200,
      reconciled: 0,
    });
  });

  test("in a deep but living queue takes only what is 5 s older than the oldest hint", async () => {
    const { options, done } = aRun([], {
      oldestWaitingAt: () =>
        Promise.resolve(new Date("2026-04-12T10:00:00.250Z")),
    });

    await requeueStalled(options);

    expect(done).toEqual([["take", new Date("2026-04-12T09:59:55.250Z"), 200]]);
  });

  test("applies the events itself when the queue cannot be asked", async () => {
    const { options, done } = aRun([[lost("a"), suspect("b")]], {
      oldestWaitingAt: unreachable,
    });

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 0, reconciled: 2 });
    expect(done).toEqual([
      ["take", expect.any(Date), 200],
      ["reconcile", ["a"], false],
      ["reconcile", ["b"], true],
    ]);
  });

  test("applies the events itself when the queue takes no hint, and asks it only once", async () => {
    let asked = 0;
    const full = Array.from({ length: 200 }, (_, n) => lost(String(n)));
    const { options, done } = aRun([full, [lost("a"), suspect("b")]], {
      enqueue: () => {
        asked += 1;
        return unreachable();
      },
    });

    const counts = await requeueStalled(options);

    expect(counts).toEqual({ requeued: 0, reconciled: 202 });
    expect(asked).toBe(1);
    expect(done.slice(-2)).toEqual([
      ["reconcile", ["a"], false],
      ["reconcile", ["b"], true],
    ]);
  });

  test("counts what was hinted before the queue was lost", async () => {
    let asked = 0;
    const { options } = aRun([[lost("a"), lost("b"), suspect("c")]], {
      enqueue: () => {
        asked += 1;
        return asked === 1 ? Promise.resolve() : unreachable();
      },
    });

    await expect(requeueStalled(options)).resolves.toEqual({
      requeued: 2,
      reconciled: 1,
    });
  });

  test.each(["takeStalled", "reconcile"])(
    "fails when the database does (%s): the next period tries again",
    async (step) => {
      const { options } = aRun([[lost("a")]], {
        oldestWaitingAt: unreachable,
        [step]: () => Promise.reject(new Error("connection lost")),
      });

      await expect(requeueStalled(options)).rejects.toThrow("connection lost");
    },
  );
});
