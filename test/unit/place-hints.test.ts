import { describe, expect, test } from "@jest/globals";
import { waitFor } from "../support/wait-for.ts";
import type { HintOptions } from "../../src/queue/hints.ts";
import { createHints } from "../../src/queue/hints.ts";

const event = (eventId: string, eventType = "card.update.succeeded") => ({
  eventId,
  eventType,
});

/** A queue that answers when it is told to. */
function aQueue(pauseEnds = Promise.resolve()) {
  const jobs: Parameters<HintOptions["enqueue"]>[0][] = [];
  const answers: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let lost = 0;
  const hints = createHints({
    enqueue: (job) =>
      new Promise((resolve, reject) => {
        jobs.push(job);
        answers.push({ resolve, reject });
      }),
    onLost: () => {
      lost++;
    },
    pause: () => pauseEnds,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const untilJobs = (count: number) =>
    waitFor(() => Promise.resolve(jobs.length >= count), {
      what: `${String(count)} jobs`,
    });
  return { hints, jobs, answers, turn, untilJobs, lost: () => lost };
}

describe("hints", () => {
  test("a lone event goes at once, in a job named after its type", async () => {
    const { hints, jobs, turn } = aQueue();

    hints.place([event("a")]);
    await turn();

    expect(jobs).toEqual([{ eventIds: ["a"], name: "card.update.succeeded" }]);
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
      eventIds: ["b", "c", "d"],
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

    expect(jobs.map(({ eventIds }) => eventIds)).toEqual([["a"], ["b"]]);
    expect(lost()).toBe(1);
  });

  test("a queue that does not answer is kept a bounded number of hints for", async () => {
    const { hints, jobs, turn, lost } = aQueue();

    for (let n = 0; n < 1_000; n++) hints.place([event(String(n))]);
    await turn();

    expect(jobs).toHaveLength(1);
    expect(lost()).toBeGreaterThan(700);
  });

  test("the next call waits until the pause is over", async () => {
    let endPause = () => {};
    const pauseEnds = new Promise<void>((resolve) => {
      endPause = resolve;
    });
    const { hints, jobs, answers, turn } = aQueue(pauseEnds);
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
});
