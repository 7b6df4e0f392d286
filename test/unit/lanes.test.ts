import { describe, expect, test } from "@jest/globals";
import { createLanes } from "../../src/process/lanes.ts";
import { settle } from "../support/settle.ts";

interface Work {
  readonly ids: readonly string[];
  readonly end: (error?: Error) => Promise<void>;
}

/** Two lanes whose work lasts until the test ends it. An id is its key and a number: `a1`. */
function someLanes({ idsPerLane = 1, maxTogether = 1_000 } = {}) {
  const works: Work[] = [];
  const add = createLanes({
    lanes: 2,
    maxTogether,
    idsPerLane,
    work: (ids) =>
      new Promise((resolve, reject) => {
        works.push({
          ids,
          end: async (error) => {
            if (error) reject(error);
            else resolve();
            await settle();
          },
        });
      }),
  });
  const addJob = (ids: readonly string[]) =>
    add(
      ids,
      ids.map((id) => id.charCodeAt(0) - "a".charCodeAt(0)),
    );
  return { add, addJob, works, worked: () => works.map(({ ids }) => ids) };
}

const idsOf = (key: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${key}${String(n)}`);

describe("lanes", () => {
  test("work side by side, each on its own partitions", async () => {
    const { addJob, works, worked } = someLanes();

    const job = addJob(["a1", "b1", "c1", "b2"]);
    await settle();

    expect(worked()).toEqual([
      ["a1", "c1"],
      ["b1", "b2"],
    ]);
    for (const work of works) await work.end();
    await job;
  });

  test("work on what comes for a busy lane when it is free, all of it together", async () => {
    const { addJob, works, worked } = someLanes();

    const jobs = [addJob(["a1", "b1"])];
    await settle();
    jobs.push(addJob(["a2"]), addJob(["a3"]));
    await settle();
    expect(worked()).toEqual([["a1"], ["b1"]]);

    await works[0]?.end();
    expect(worked()).toEqual([["a1"], ["b1"], ["a2", "a3"]]);
    for (const work of works) await work.end();
    await Promise.all(jobs);
  });

  test("work on as many together as they may, whichever jobs they come from", async () => {
    const { addJob, works, worked } = someLanes({ maxTogether: 200 });

    const jobs = [addJob(idsOf("a", 120)), addJob(idsOf("a", 360))];
    for (let turn = 0; turn < 3; turn++) {
      await settle();
      await works[turn]?.end();
    }

    expect(worked().map(({ length }) => length)).toEqual([170, 200, 110]);
    expect(worked().flat()).toEqual([...idsOf("a", 120), ...idsOf("a", 360)]);
    await Promise.all(jobs);
  });

  test("end a job when its own ids are done, not those that came with them", async () => {
    const { addJob, works } = someLanes({ maxTogether: 100 });

    const ended: string[] = [];
    const jobs = [
      addJob(["a1"]).then(() => ended.push("short")),
      addJob(idsOf("a", 300)).then(() => ended.push("long")),
    ];
    await settle();
    await works[0]?.end();

    expect(ended).toEqual(["short"]);
    for (let turn = 1; turn < 4; turn++) await works[turn]?.end();
    await Promise.all(jobs);
  });

  test("share what waits as soon as there is enough of it for two", async () => {
    const { addJob, works, worked } = someLanes({ idsPerLane: 3 });

    const jobs = [addJob(["a1", "b1"]), addJob(["b2"])];
    await settle();
    expect(worked()).toEqual([["a1", "b1", "b2"]]);

    jobs.push(addJob(["a2", "b3"]), addJob(["a3", "b4"]));
    await settle();
    expect(worked().slice(1)).toEqual([["b4"]]);
    await works[0]?.end();
    expect(worked().slice(2)).toEqual([["a2", "b3", "a3"]]);
    for (const work of works) await work.end();
    await Promise.all(jobs);
  });

  test("keep a job together that does not say what it is about", async () => {
    const { add, works, worked } = someLanes();

    const job = add(["a1", "b1"]);
    await settle();

    expect(worked()).toEqual([["a1", "b1"]]);
    await works[0]?.end();
    await job;
  });

  test("tell a job that failed, when all of its work has ended", async () => {
    const { addJob, works } = someLanes();

    let outcome = "under way";
    const job = addJob(["a1", "b1"]).catch((error: unknown) => {
      outcome = String(error);
    });
    await settle();
    await works[0]?.end(new Error("lane a failed"));
    expect(outcome).toBe("under way");

    await works[1]?.end();
    await job;
    expect(outcome).toBe("Error: lane a failed");
  });

  test("have nothing to do for a job of nothing", async () => {
    const { addJob, worked } = someLanes();
    await addJob([]);
    expect(worked()).toEqual([]);
  });
});
