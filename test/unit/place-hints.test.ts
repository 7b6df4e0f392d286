import { afterEach, describe, expect, jest, test } from "@jest/globals";
import { waitFor } from "../support/wait-for.ts";
import type { HintOptions } from "../../src/queue/hints.ts";
import { createHints } from "../../src/queue/hints.ts";

const event = (eventId: string, eventType = "card.update.succeeded") => ({
  eventId,
  eventType,
  cardId: `card of ${eventId}`,
});

/** A queue that answers when it is told to, and whose line has stood for as long as it is told. */
function aQueue({
  lineMs,
  pauseEnds = Promise.resolve(),
}: {
  lineMs?: (() => number) | undefined;
  pauseEnds?: Promise<void>;
} = {}) {
  const jobs: Parameters<HintOptions["enqueue"]>[0][] = [];
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const pauses: number[] = [];
  let lost = 0;
  let looks = 0;
  const hints = createHints({
    enqueue: (job) =>
      new Promise((resolve, reject) => {
        jobs.push(job);
        answers.push({ resolve, reject });
      }),
    oldestWaitingAt: async () => {
      looks++;
      await Promise.resolve();
      return lineMs && new Date(Date.now() - lineMs());
    },
    onLost: () => {
      lost++;
    },
    pause: (ms) => {
      pauses.push(ms);
      return pauseEnds;
    },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const untilJobs = (count: number) =>
    waitFor(() => Promise.resolve(jobs.length >= count), {
      what: `${String(count)} jobs`,
    });
  return {
    hints,
    jobs,
    answers,
    pauses,
    turn,
    untilJobs,
    lost: () => lost,
    looks: () => looks,
  };
}

const away = (): never => {
  throw new Error("away");
};

afterEach(() => {
  jest.restoreAllMocks();
});

describe("hints", () => {
  test("a lone event goes at once, in a job named after its type", async () => {
    const { hints, jobs, turn } = aQueue();

    hints.place([event("a")]);
    await turn();

    expect(jobs).toEqual([
      { events: [event("a")], name: "card.update.succeeded" },
    ]);
  });

  test("what is recorded while a call is under way goes together with the next one", async () => {
    const { hints, jobs, answers, turn, untilJobs } = aQueue();
    hints.place([event("a")]);
    await turn();

    hints.place([event("b"), event("c")]);
    hints.place([event("d")]);
    await turn();
    const meanwhile = jobs.length;
    answers[0]?.resolve();
    await untilJobs(2);

    expect(meanwhile).toBe(1);
    expect(jobs[1]).toEqual({
      events: [event("b"), event("c"), event("d")],
      name: "events",
    });
  });

  test("a call that fails loses its own hints and no others", async () => {
    const { hints, jobs, answers, turn, untilJobs, lost } = aQueue();
    hints.place([event("a")]);
    await turn();
    hints.place([event("b")]);

    answers[0]?.reject(new Error("away"));
    await untilJobs(2);
    answers[1]?.resolve();
    await hints.drain();

    expect(jobs.map(({ events }) => events)).toEqual([
      [event("a")],
      [event("b")],
    ]);
    expect(lost()).toBe(1);
  });

  test("a queue that does not answer is kept a bounded number of hints for", async () => {
    const { hints, jobs, turn, lost } = aQueue();

    for (let n = 0; n < 1_000; n++) hints.place([event(String(n))]);
    await turn();

    expect(jobs).toHaveLength(1);
    expect(lost()).toBeGreaterThan(700);
  });

  test.each<{ line: string; lineMs: (() => number) | undefined; ms: number }>([
    { line: "nothing", lineMs: undefined, ms: 10 },
    {
      line: "a job that waits for less than the longer pause",
      lineMs: () => 39,
      ms: 10,
    },
    {
      line: "a job that waits for as long as the longer pause",
      lineMs: () => 40,
      ms: 40,
    },
    {
      line: "a job that no worker took for an hour",
      lineMs: () => 3_600_000,
      ms: 40,
    },
    {
      line: "a job of a machine whose clock is ahead",
      lineMs: () => -60_000,
      ms: 10,
    },
    { line: "a queue that cannot be looked at", lineMs: away, ms: 10 },
  ])("behind $line the pause is $ms ms", async ({ lineMs, ms }) => {
    jest.spyOn(Date, "now").mockReturnValue(1_700_000_000_000);
    const { hints, answers, pauses, turn } = aQueue({ lineMs });

    hints.place([event("a")]);
    await turn();
    answers[0]?.resolve();
    await hints.drain();

    expect(pauses).toEqual([ms]);
  });

  test("behind a full job there is no pause: small batches come faster than a job a pause could take them", async () => {
    const { hints, jobs, answers, pauses, untilJobs } = aQueue({
      lineMs: () => 3_600_000,
    });
    hints.place([event("first")]);
    await untilJobs(1);
    for (let n = 0; n < 70; n++) hints.place([event(String(n))]);

    for (let job = 1; job <= 4; job++) {
      await untilJobs(job);
      answers[job - 1]?.resolve();
    }
    await hints.drain();

    expect(jobs.map(({ events }) => events.length)).toEqual([1, 32, 32, 6]);
    expect(pauses).toEqual([40, 40]);
  });

  test("the next call waits until the pause is over", async () => {
    let endPause = () => {};
    const pauseEnds = new Promise<void>((resolve) => {
      endPause = resolve;
    });
    const { hints, jobs, answers, turn } = aQueue({ pauseEnds });
    hints.place([event("a")]);
    hints.place([event("b")]);
    await turn();
    hints.place([event("c")]);

    answers[0]?.resolve();
    await turn();
    const meanwhile = jobs.length;
    endPause();
    await turn();

    expect(meanwhile).toBe(1);
    expect(jobs).toHaveLength(2);
  });

  test("the queue is looked at ten times a second at most", async () => {
    const now = jest.spyOn(performance, "now");
    const { hints, answers, turn, looks } = aQueue();
    const looksAfterCallAt = async (ms: number) => {
      now.mockReturnValue(ms);
      hints.place([event(String(ms))]);
      await turn();
      answers.at(-1)?.resolve();
      await hints.drain();
      return looks();
    };

    expect(await looksAfterCallAt(1_000)).toBe(1);
    expect(await looksAfterCallAt(1_099)).toBe(1);
    expect(await looksAfterCallAt(1_100)).toBe(2);
  });
});
